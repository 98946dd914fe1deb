"""The model folders that `onnxserve new` makes."""

from .new import new_model

__all__ = ["new_model"]
