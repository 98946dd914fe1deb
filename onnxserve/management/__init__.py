"""TorchServe's management API as typed calls."""

from .client import Management
from .model import ModelVersion, Worker

__all__ = ["Management", "ModelVersion", "Worker"]
