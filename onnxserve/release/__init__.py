"""Moving traffic between versions of a model without losing a request."""

from .history import History, HistoryNotWritten
from .service import ReleaseService
from .versions import VersionStatus

__all__ = ["History", "HistoryNotWritten", "ReleaseService", "VersionStatus"]
