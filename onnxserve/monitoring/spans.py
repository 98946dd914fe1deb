"""Spans of sampled requests, made from the access log and sent as OTLP over HTTP.

Names and attributes follow https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from onnxserve.errors import GatewayError
from onnxserve.version import __version__

from .access_log import Entry, http_status
from .exposition import Counter

if TYPE_CHECKING:
    from opentelemetry.context import Context

SERVICE = "onnxserve-gateway"
SEND_S, PERIOD_MS, BATCH = 2.0, 1000, 512
MOST_WAITING = 2048  # spans that may wait to be sent
CONTEXT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
SAMPLED = frozenset("13579bdf")  # the last digit of the flags
CALL = "/inference.GRPCInferenceService/"
ROUTES = {
    re.compile(pattern): route
    for pattern, route in {
        "/predictions/[^/]+": "/predictions/{model}",
        "/predictions/[^/]+/[^/]+": "/predictions/{model}/{version}",
        "/v1/models/[^/:]+:predict": "/v1/models/{model}:predict",
        "/v2/models/[^/]+(/infer|/ready|)": r"/v2/models/{model}\1",
        "/v2/models/[^/]+/versions/[^/]+(/infer|/ready|)": r"/v2/models/{model}/versions/{version}\1",
        "(/v2|/v2/health/live|/v2/health/ready|/openapi.json)": r"\1",
        CALL + "([A-Za-z]+)": CALL + r"\1",
    }.items()
}


class Spans:
    """Sends spans to one collector from its own thread; spans that it doesn't take in time are lost and counted."""

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON

            from .span_export import PassedOnIds, Sender
        except ModuleNotFoundError as error:
            what = f"traces need a package that is not installed: {error.name}"
            raise GatewayError(what, where="traces.endpoint", fix="pip install 'onnxserve[trace]'") from error
        # Failures are counted, so the SDK needn't log each of them to the console.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._ids, self._sender = PassedOnIds(), Sender(endpoint.rstrip("/") + "/v1/traces", SEND_S)
        self._provider = TracerProvider(
            ALWAYS_ON, Resource.create({"service.name": SERVICE}), id_generator=self._ids, shutdown_on_exit=False
        )
        queue = BatchSpanProcessor(self._sender, MOST_WAITING, PERIOD_MS, BATCH)
        self._provider.add_span_processor(queue)
        self._tracer = self._provider.get_tracer("onnxserve", __version__)
        self._made = self._lost = 0

    def add(self, entries: Sequence[Entry]) -> None:
        """Make spans of sampled requests."""
        for entry in entries:
            if entry.traceparent[-1:] in SAMPLED:
                self._add(entry)

    def lines(self) -> Iterator[str]:
        """Yield the lines for Prometheus."""
        counted = Counter("onnxserve_gateway_spans_total", "Spans by outcome: sent or lost.", ("outcome",))
        counted.add(("sent",), self._sender.sent)
        counted.add(("lost",), self._sender.failed + self._lost)
        yield from counted.lines()

    def stop(self) -> None:
        """Send the remaining spans, within some seconds."""
        self._sender.ending = True
        self._provider.shutdown()

    def _add(self, entry: Entry) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        context = CONTEXT.fullmatch(entry.traceparent)
        waiting = self._made - self._sender.sent - self._sender.failed
        if context is None or waiting >= MOST_WAITING:
            self._lost += 1
            return
        self._ids.trace, self._ids.span = int(context[1], 16), int(context[2], 16)
        self._made += 1
        span = self._tracer.start_span(
            span_name(entry),
            parent_of(entry.parent, context[1]),
            SpanKind.SERVER,
            attributes(entry),
            start_time=round(1e9 * (entry.at - entry.seconds)),
        )
        if http_status(entry.status, entry.grpc) >= "500":
            span.set_status(StatusCode.ERROR, entry.error)
        span.end(round(1e9 * entry.at))


def parent_of(header: str, trace: str) -> Context:
    """Return the client's span as the parent; none if its `traceparent` is invalid, so that the trace starts here."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    client = CONTEXT.fullmatch(header)
    if client is None or client[1] != trace:
        return Context()
    flags = TraceFlags(int(client[3], 16))
    return set_span_in_context(
        NonRecordingSpan(SpanContext(int(trace, 16), int(client[2], 16), is_remote=True, trace_flags=flags)), Context()
    )


def route_of(path: str) -> str:
    """Return a path with placeholders for names; empty for a path that the gateway doesn't have."""
    for pattern, route in ROUTES.items():
        if match := pattern.fullmatch(path):
            return match.expand(route)
    return ""


def span_name(entry: Entry) -> str:
    """Return the span's name, one of few, since collectors group by it."""
    route = route_of(entry.path)
    return route.lstrip("/") if route.startswith(CALL) else f"{entry.method} {route}".rstrip()


def attributes(entry: Entry) -> dict[str, str | int]:
    """Return the attributes of a request, without the client's identity."""
    known: dict[str, str | int] = {
        "http.request.method": entry.method,
        "http.response.status_code": entry.status,
        "url.path": entry.path,
        "http.route": route_of(entry.path),
        "error.type": entry.error,
        "onnxserve.request_id": entry.request_id,
        "onnxserve.model": entry.model,
        "onnxserve.version": entry.version,
        "onnxserve.cache": entry.cache,
        "onnxserve.degraded": entry.degraded,
        "onnxserve.client_kind": client_kind(entry),
    }
    if entry.grpc:
        known |= {"rpc.system": "grpc", "rpc.grpc.status_code": int(entry.grpc)}
    return {name: value for name, value in known.items() if value != ""}


def client_kind(entry: Entry) -> str:
    """Return how the client was identified: by key, token or address."""
    if entry.client == entry.address:
        return "address"
    return "token" if entry.client.startswith("jwt:") else "key"
