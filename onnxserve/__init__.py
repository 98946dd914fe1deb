"""Serve proven ONNX archives of torch models with TorchServe."""

__version__ = "0.1.0"
