"""Batch scoring: the archive's own handler over files of any size."""

from .engine import DaftEngine, Engine
from .estimate import Estimate, estimate
from .job import Job, Machine, Model, Plan, Remote, Shape
from .output import Folder
from .part import Kind
from .plan import parts_of, plan_of
from .request import JobRequest, job_of
from .run import MANIFEST, QUARANTINE, Manifest, finished_parts, lock_output, score

__all__ = [
    "MANIFEST",
    "QUARANTINE",
    "DaftEngine",
    "Engine",
    "Estimate",
    "Folder",
    "Job",
    "JobRequest",
    "Kind",
    "Machine",
    "Manifest",
    "Model",
    "Plan",
    "Remote",
    "Shape",
    "estimate",
    "finished_parts",
    "job_of",
    "lock_output",
    "parts_of",
    "plan_of",
    "score",
]
