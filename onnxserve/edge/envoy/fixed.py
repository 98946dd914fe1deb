"""Answers that need no version."""

from __future__ import annotations

from typing import Any

import msgspec

from .typed import Resource, header


def problem(kind: str, reason: str) -> dict[str, Any]:
    """The body of an error, as the handlers write it."""
    return {"error": {"type": kind, "reason": reason, "where": "edge"}}


def fixed(match: Resource, status: int, document: dict[str, Any]) -> Resource:
    """An answer of the edge itself."""
    body = msgspec.json.encode(document).decode()
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [header("content-type", "application/json")],
    }
