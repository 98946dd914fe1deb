"""Conversion of archives for other servers than TorchServe."""

from .asgi import to_asgi
from .triton import to_triton

__all__ = ["to_asgi", "to_triton"]
