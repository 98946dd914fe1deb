"""A span for each batch with a sampled request, sent as OTLP where ONNXSERVE_TRACES names a collector.

The context comes in W3C `traceparent` headers (https://www.w3.org/TR/trace-context/). A thread of its own sends the
spans, and drops those that the collector doesn't take in time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..signature import Signature

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, Tracer

VARIABLE = "ONNXSERVE_TRACES"
HEADER = "traceparent"
SERVICE = "onnxserve-worker"
PARTS = 4
LENGTHS = (2, 32, 16, 2)
SAMPLED = 1


class Spans:
    """Makes the spans of one model's batches."""

    def __init__(self, tracer: Tracer, signature: Signature, provider: str) -> None:
        self._tracer = tracer
        self._attributes: dict[str, Any] = {
            "onnxserve.model": signature.model,
            "onnxserve.version": signature.version,
            "onnxserve.provider": provider,
        }

    def record(
        self, headers: Sequence[Mapping[str, str]], start_ns: int, end_ns: int, stage_seconds: Mapping[str, float]
    ) -> None:
        """Make the span of one batch, a child of its first sampled request and linked to all sampled ones.

        A batch without a sampled request gets none. Times are in nanoseconds since the epoch.
        """
        from opentelemetry import trace

        contexts = [context for request in headers if (context := context_of(request)) is not None]
        if not contexts:
            return
        parent = trace.set_span_in_context(trace.NonRecordingSpan(contexts[0]))
        span = self._tracer.start_span(
            "batch",
            context=parent,
            links=[trace.Link(context) for context in contexts],
            start_time=start_ns,
            attributes={
                **self._attributes,
                "onnxserve.requests": len(headers),
                **{f"onnxserve.{stage}_ms": 1000 * seconds for stage, seconds in stage_seconds.items()},
            },
        )
        span.end(end_ns)


def context_of(headers: Mapping[str, str]) -> SpanContext | None:
    """Return the context of a sampled request; None for any other request and for a malformed header."""
    from opentelemetry.trace import SpanContext, TraceFlags

    parts = headers.get(HEADER, "").split("-")
    if len(parts) < PARTS or tuple(map(len, parts[:PARTS])) != LENGTHS:
        return None
    try:
        trace_id, span_id, flags = (int(part, 16) for part in parts[1:PARTS])
    except ValueError:
        return None
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid and flags & SAMPLED else None


def make_spans(signature: Signature, provider: str) -> Spans | None:
    """Return the spans that the environment enables, None if it names no collector."""
    endpoint = os.environ.get(VARIABLE, "")
    if not endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + "/v1/traces", timeout=2)))
    return Spans(tracers.get_tracer("onnxserve"), signature, provider)
