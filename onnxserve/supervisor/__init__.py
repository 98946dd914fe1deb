"""The supervisor: starts TorchServe and the processes beside it, probes and replaces them, and stops them in order."""

from .backoff import Backoff
from .events import Event, Events
from .log_rotation import LogLimits, LogWriter, Rotation
from .readiness import Version, wait_ready
from .service import Probe, Running, Service
from .signals import StopSignals
from .supervisor import Stopped, Supervisor
from .torchserve import TorchServe
from .watchdog import Watchdog
from .worker_recovery import WorkerRecovery

__all__ = [
    "Backoff",
    "Event",
    "Events",
    "LogLimits",
    "LogWriter",
    "Probe",
    "Rotation",
    "Running",
    "Service",
    "StopSignals",
    "Stopped",
    "Supervisor",
    "TorchServe",
    "Version",
    "Watchdog",
    "WorkerRecovery",
    "wait_ready",
]
