"""Serve proven ONNX archives of torch models with TorchServe."""

__version__ = "0.2.0"
