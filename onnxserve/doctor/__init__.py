"""Checks whether this machine is ready to serve; each check is a function and names a fix, or does it if asked."""

from .checks import CHECKS, examine
from .finding import Finding, Repair
from .meanings import MEANINGS

__all__ = ["CHECKS", "MEANINGS", "Finding", "Repair", "examine"]
