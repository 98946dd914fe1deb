"""Moving traffic between versions of a model without losing a request."""

from .history import History, HistoryNotWritten
from .opening import release_of
from .service import ReleaseService
from .versions import VersionStatus

__all__ = ["History", "HistoryNotWritten", "ReleaseService", "VersionStatus", "release_of"]
