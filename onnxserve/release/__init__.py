"""Moving traffic between versions of a model without losing a request."""

from .controller import Pilot
from .history import History
from .service import Release
from .versions import VersionStatus

__all__ = ["History", "Pilot", "Release", "VersionStatus"]
