"""The model folders that `onnxserve new` makes."""

from .new import KINDS, new_model

__all__ = ["KINDS", "new_model"]
