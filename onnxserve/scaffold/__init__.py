"""`onnxserve new`: a model folder that works, to be changed piece by piece."""

from .new import KINDS, new_model

__all__ = ["KINDS", "new_model"]
