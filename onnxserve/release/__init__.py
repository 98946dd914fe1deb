"""Moving traffic between versions of a model without losing a request."""

from .history import History
from .service import ReleaseService
from .versions import VersionStatus

__all__ = ["History", "ReleaseService", "VersionStatus"]
