"""Moving traffic between versions of a model without losing a request."""

from .history import History
from .pilot import Pilot
from .steps import Release
from .versions import VersionStatus

__all__ = ["History", "Pilot", "Release", "VersionStatus"]
