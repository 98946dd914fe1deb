"""Answers that Envoy gives by itself, in the words and the form of the handlers' errors."""

from __future__ import annotations

from .fixed import V2, problem
from .typed import Resource

AGAIN_S = 1
CALLED = r"/(v2/grpc|inference\.).*"  # a call before and after it has its path
DENIED: list[tuple[int, str, str]] = [
    (401, "unauthenticated", "send a valid key as x-api-key or a token as Authorization: Bearer"),
    (403, "forbidden", "this client may not ask this model, or its token is meant for another server"),
]
BY_NGINX: Resource = {"response_flag_filter": {"flags": ["UAEX"]}}  # asked who may come in, it denied or did not answer
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
    """`local_reply_config`; V2's form comes first, since the first rule that fits is taken."""
    mappers = [one for status, *rest in DENIED for one in mapped(status_is(status), status, *rest)]
    mappers += mapped(both(BY_NGINX, status_is(503)), 503, "unavailable", "nobody can say now who may ask", again=True)
    # What is left of denials, nginx has said in our words already.
    mappers.append({"filter": BY_NGINX})
    for flags, status, kind, reason, again in BY_FLAG:
        mappers += mapped({"response_flag_filter": {"flags": flags}}, status, kind, reason, again=again)
    for status, kind, reason in BY_STATUS:
        mappers += mapped(status_is(status), status, kind, reason, again=status == 429)
    return {"mappers": mappers}


def mapped(found: Resource, status: int, kind: str, reason: str, *, again: bool = False) -> list[Resource]:
    """A rule for each form of an error; of a call's, Envoy makes gRPC's status and message."""
    line = {"text_format_source": {"inline_string": f"{kind}: edge: {reason}"}}
    return [
        mapper(both(found, path({"safe_regex": {"regex": CALLED}})), status, line, again=again),
        mapper(both(found, path({"prefix": V2})), status, as_json(problem(kind, reason, V2)), again=again),
        mapper(found, status, as_json(problem(kind, reason)), again=again),
    ]


def as_json(body: Resource) -> Resource:
    """How a body is written."""
    return {"json_format": body, "content_type": "application/json"}


def path(how: Resource) -> Resource:
    """A filter on the path."""
    return {"header_filter": {"header": {"name": ":path", "string_match": how}}}


def both(one: Resource, other: Resource) -> Resource:
    """A filter that wants two."""
    return {"and_filter": {"filters": [one, other]}}


def mapper(found: Resource, status: int, body: Resource, *, again: bool) -> Resource:
    """One rule."""
    made: Resource = {"filter": found, "status_code": status, "body_format_override": body}
    if again:
        made["headers_to_add"] = [{"header": {"key": "retry-after", "value": str(AGAIN_S)}}]
    return made


def status_is(status: int) -> Resource:
    """A filter on the status that Envoy would answer."""
    value = {"default_value": status, "runtime_key": f"onnxserve.reply_{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
