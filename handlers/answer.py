"""outputs -> response: one stable JSON schema for every model, good or bad."""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import RequestError

CONTENT_TYPE = "application/json"
_encode = msgspec.json.Encoder().encode


def good(predictions: list[Any], model: str, version: str) -> bytes:
    """`{"predictions": [...], "model": ..., "version": ...}`."""
    return _encode({"predictions": predictions, "model": model, "version": version})


def bad(error: RequestError, model: str, version: str) -> bytes:
    """`{"error": {"type", "reason", "where", "fix"}, "model": ..., "version": ...}`."""
    return _encode({"error": error.body(), "model": model, "version": version})
