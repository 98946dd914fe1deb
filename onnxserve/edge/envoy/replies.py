"""Answers that Envoy gives by itself, in the words and the form of the handlers' errors."""

from __future__ import annotations

from .fixed import problem
from .typed import Resource

AGAIN_S = 1
DENIED: list[tuple[int, str, str]] = [
    (401, "unauthenticated", "send a valid key as x-api-key or a token as Authorization: Bearer"),
    (403, "forbidden", "this client may not ask this model, or its token is meant for another server"),
]
# Envoy's response flags (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage),
# status, type, reason, and whether to come again.
BY_FLAG: list[tuple[list[str], int, str, str, bool]] = [
    (["UO"], 429, "overloaded", "too many requests are under way for this version", True),
    (["UT", "SI", "DT"], 504, "deadline_exceeded", "no answer within the deadline", True),
    (["UH", "UF", "UC", "UR", "LR", "URX", "NC", "OM"], 503, "unavailable", "no version can answer now", True),
]
BY_STATUS: list[tuple[int, str, str]] = [
    (400, "malformed_request", "this is not a well-formed request"),
    (408, "request_too_slow", "the request did not arrive in time"),
    (413, "too_large", "the body is larger than the edge allows"),
    (429, "rate_limited", "too many requests in too short a time"),
    (431, "headers_too_large", "the headers are larger than the edge allows"),
    (426, "upgrade_required", "use HTTP/1.1 or newer"),
]


def replies() -> Resource:
    """`local_reply_config`."""
    mappers = [mapper(status_is(status), status, kind, reason, again=False) for status, kind, reason in DENIED]
    # What is left of denials, nginx has said in our words already.
    mappers.append({"filter": {"response_flag_filter": {"flags": ["UAEX"]}}})
    mappers += [mapper({"response_flag_filter": {"flags": one[0]}}, *one[1:]) for one in BY_FLAG]
    mappers += [
        mapper(status_is(status), status, kind, reason, again=status == 429) for status, kind, reason in BY_STATUS
    ]
    return {"mappers": mappers}


def mapper(found: Resource, status: int, kind: str, reason: str, again: bool) -> Resource:  # noqa: FBT001 - a row
    """One rule."""
    made: Resource = {
        "filter": found,
        "status_code": status,
        "body_format_override": {"json_format": problem(kind, reason), "content_type": "application/json"},
    }
    if again:
        made["headers_to_add"] = [{"header": {"key": "retry-after", "value": str(AGAIN_S)}}]
    return made


def status_is(status: int) -> Resource:
    """A filter on the status that Envoy would answer."""
    value = {"default_value": status, "runtime_key": f"onnxserve.reply_{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
