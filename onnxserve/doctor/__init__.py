"""Is this machine ready to serve? One check a function, each with a fix."""

from .checks import CHECKS, examine
from .finding import Finding

__all__ = ["CHECKS", "Finding", "examine"]
