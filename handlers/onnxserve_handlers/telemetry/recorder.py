"""Records what happens to batches: spans, histograms, the prediction log, drift. It changes no response.

A span is made for each batch with a sampled request, and sent as OTLP where ONNXSERVE_TRACES names a collector. The
context comes in W3C `traceparent` headers (https://www.w3.org/TR/trace-context/). A thread of its own sends the spans,
and drops those that the collector doesn't take in time.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import RequestError, stack_of
from ..request import Request, error_of
from ..response import Response
from ..signature import Signature
from ..tasks import Hooks
from .drift import Drift, make_drift
from .metrics import OK, Clock, Metrics, make_metrics, queue_seconds
from .prediction_log import PredictionLog, make_prediction_log

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, Tracer

log = logging.getLogger(__name__)
TRACES = "ONNXSERVE_TRACES"
TRACEPARENT = "traceparent"
SERVICE = "onnxserve-worker"
PARTS = 4  # of a traceparent header
LENGTHS = (2, 32, 16, 2)  # of its parts
SAMPLED = 1
Results = Sequence[Response | RequestError | None]


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

    parts = headers.get(TRACEPARENT, "").split("-")
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
    endpoint = os.environ.get(TRACES, "")
    if not endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + "/v1/traces", timeout=2)))
    return Spans(tracers.get_tracer("onnxserve"), signature, provider)


class Recorder:
    """The records that the environment enables for one handler."""

    def __init__(
        self,
        handler: Hooks,
        spans: Spans | None = None,
        metrics: Metrics | None = None,
        prediction_log: PredictionLog | None = None,
        drift: Drift | None = None,
    ) -> None:
        self._handler = handler
        self.spans, self.metrics, self.prediction_log, self.drift = spans, metrics, prediction_log, drift
        self.clock = Clock()
        self.predictions: list[Any] = []  # of the current batch, as far as they were made
        self._start_ns = 0

    def begin(self) -> None:
        """Note that a batch came."""
        self._start_ns = time.time_ns()
        self.clock, self.predictions = Clock(), []

    def end(self, requests: Sequence[Request], results: Results, context: Any) -> None:
        """Record the batch, which was answered; an error here is logged and costs no request its response."""
        self.clock.lap("postprocess")
        try:
            self._end(requests, results, context)
        except Exception as error:  # noqa: BLE001 - it is logged
            log.error("a batch could not be recorded\n%s", stack_of(error))  # noqa: TRY400 - without the message

    def _end(self, requests: Sequence[Request], results: Results, context: Any) -> None:
        if self.metrics is not None:
            self._count(self.metrics, requests, results, context.get_all_request_header(0) or {})
        if self.drift is not None and self.drift.is_due() and (rows := self._measured_rows(requests)):
            self.drift.add(rows, self.predictions, self._handler)
        if self.spans is not None or self.prediction_log is not None:
            headers = [context.get_all_request_header(index) or {} for index in range(len(requests))]
            if self.spans is not None:
                self.spans.record(headers, self._start_ns, time.time_ns(), self.clock.stage_seconds)
            if self.prediction_log is not None:
                self.prediction_log.add(requests, results, headers)

    def _measured_rows(self, requests: Sequence[Request]) -> list[list[Any]]:
        """Return the rows of each request that no earlier stage refused, of those that brought tensors too."""
        each = (
            request.rows or (self._handler.tensor_rows(request.tensors) if request.tensors is not None else [])
            for request in requests
            if request.error is None
        )
        return [rows for rows in each if rows]

    def _count(self, metrics: Metrics, requests: Sequence[Request], results: Results, first: Mapping[str, str]) -> None:
        stage_seconds = self.clock.stage_seconds
        if (queue := queue_seconds(first, self._start_ns / 1e9)) is not None:
            stage_seconds["queue"] = queue
        outcomes = [outcome(request, result) for request, result in zip(requests, results, strict=True)]
        errors = [kind for kind in outcomes if kind != OK]
        lengths = None
        if metrics.has_padding:
            rows = [row for own in rows_by_request(requests) for row in own]
            lengths = self._handler.lengths(rows) if rows else None
            metrics.has_padding = lengths is not None or not rows  # a model's rows pad each other always or never
        count = sum(request.count for request in requests if request.error is None)
        metrics.add_batch(stage_seconds, len(requests), count, lengths)
        metrics.add_outcomes(len(requests) - len(errors), errors)


def rows_by_request(requests: Sequence[Request]) -> list[list[Any]]:
    """Return the checked rows of each request that no earlier stage refused, without those that have none."""
    return [request.rows for request in requests if request.error is None and request.rows]


def outcome(request: Request, result: Response | RequestError | None) -> str:
    """Return `ok`, or the kind of the error that the client got."""
    if request.error is None and type(result) is Response:
        return result.row_error or OK
    error = error_of(request, result)
    return error.kind if error else OK


def proof_of(folder: Path) -> str:
    """Return what stands behind an unpacked archive's answers: certified, parity or unproven; empty if unknown."""
    try:
        summary: dict[str, Any] = msgspec.json.decode((folder / "evidence.json").read_bytes())["summary"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return ""
    return str(summary.get("proof", ""))


def make_recorder(handler: Hooks, provider: str) -> Recorder | None:
    """Return a recorder for what the environment enables, None if it enables nothing."""
    signature = handler.signature
    spans = make_spans(signature, provider)
    metrics = make_metrics(signature, provider, handler.threads, proof_of(handler.folder))
    prediction_log, drift = make_prediction_log(handler), make_drift(handler.folder, signature)
    if not (spans or metrics or prediction_log or drift):
        return None
    return Recorder(handler, spans, metrics, prediction_log, drift)
