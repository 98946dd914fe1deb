"""Java compiled before the first client comes."""

from .warm import sign_model, warm_up

__all__ = ["sign_model", "warm_up"]
