"""What the server says of itself."""

from __future__ import annotations

from onnxserve import __version__

# https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#server-metadata
SERVER = {"name": "onnxserve", "version": __version__, "extensions": ["binary_tensor_data"]}
