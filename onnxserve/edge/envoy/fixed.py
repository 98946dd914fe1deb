"""Answers that need no version."""

from __future__ import annotations

from typing import Any

import msgspec

from .typed import Resource, header

V2 = "/v2/"  # paths of the Open Inference Protocol, whose errors are one line of text


def problem(kind: str, reason: str, path: str = "") -> dict[str, Any]:
    """The body of an error, as the handlers write it."""
    if path.startswith(V2):
        return {"error": f"{kind}: edge: {reason}"}
    return {"error": {"type": kind, "reason": reason, "where": "edge"}}


def fixed(match: Resource, status: int, document: dict[str, Any]) -> Resource:
    """An answer of the edge itself."""
    body = msgspec.json.encode(document).decode()
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [header("content-type", "application/json")],
    }
