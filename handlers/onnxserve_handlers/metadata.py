"""`GET /models/{model}?customized=true`: what is loaded, on what, what was proven of it, and how to ask it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict
from typing import Any

import msgspec
import onnxruntime as ort

from .hooks import Hooks
from .protocols.v2_grpc import metadata_message
from .schemas import ERRORS
from .signature import Signature, Tensor, datatype

PLATFORM = "onnxruntime_onnx"
FREE = -1  # size of an axis that has none


def describe(handler: Hooks) -> bytes:
    """Signature, evidence summary, provider and threads as one JSON object; `v2` and `openapi` are for the gateway."""
    session, v2 = handler.session, metadata(handler.signature)
    evidence: dict[str, Any] = msgspec.json.decode((handler.folder / "evidence.json").read_bytes())
    return msgspec.json.encode(
        {
            "signature": asdict(handler.signature),
            "evidence": evidence["summary"],
            "provider": {**asdict(session.provider), "onnxruntime": ort.__version__, "nodes": session.placement()},
            "threads": {"intra_op": session.threads},
            "golden_deviation": handler.golden_deviation,
            "v2": v2,
            "v2_message": b64encode(metadata_message(v2)).decode(),
            "openapi": {**handler.schemas(), "max_rows": handler.signature.input.max_rows, "errors": ERRORS},
        }
    )


def metadata(signature: Signature) -> dict[str, Any]:
    """The model's part of V2's metadata, https://github.com/kserve/open-inference-protocol, inference_rest.md."""
    inputs, outputs = ([_tensor(one) for one in tensors] for tensors in (signature.inputs, signature.outputs))
    return {"platform": PLATFORM, "inputs": inputs, "outputs": outputs}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else FREE for size in tensor.shape]
    return {"name": tensor.name, "datatype": datatype(tensor.dtype), "shape": shape}
