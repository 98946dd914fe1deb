"""`GET /models/{model}?customized=true`: what is loaded, on what, and what was proven of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
import onnxruntime as ort

if TYPE_CHECKING:
    from .base import Handler


def describe(handler: Handler) -> bytes:
    """Signature, evidence summary, provider and threads as one JSON object."""
    session = handler.session
    evidence: dict[str, Any] = msgspec.json.decode((handler.folder / "evidence.json").read_bytes())
    return msgspec.json.encode(
        {
            "signature": asdict(handler.signature),
            "evidence": evidence["summary"],
            "provider": {**asdict(session.provider), "onnxruntime": ort.__version__, "nodes": session.placement()},
            "threads": {"intra_op": session.threads},
            "golden_deviation": handler.golden_deviation,
        }
    )
