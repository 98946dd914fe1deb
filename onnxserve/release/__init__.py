"""Moving traffic between versions of a model without losing a request."""

from .history import History
from .steps import Release, VersionStatus

__all__ = ["History", "Release", "VersionStatus"]
