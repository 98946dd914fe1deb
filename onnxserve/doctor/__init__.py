"""Checks whether this machine is ready to serve; each check is a function and names a fix."""

from .checks import CHECKS, examine
from .finding import Finding

__all__ = ["CHECKS", "Finding", "examine"]
