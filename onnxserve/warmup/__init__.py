"""Java compiled before the first client comes."""

from .warm import warm_up

__all__ = ["warm_up"]
