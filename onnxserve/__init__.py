"""Serve proven ONNX archives of trained models with TorchServe."""

import os

__version__ = "0.2.0"

# ONNX Runtime's own wheels send usage to their maker and keep an id of the machine below HOME, from their import on,
# unless this says otherwise. Whatever we start inherits it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
