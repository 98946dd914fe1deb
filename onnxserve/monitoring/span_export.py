"""Exports spans with given ids by OpenTelemetry's SDK; imported only where the SDK is installed."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator


class PassedOnIds(IdGenerator):
    """Gives spans the ids that nginx created and passed on."""

    trace = 0
    span = 0

    def generate_trace_id(self) -> int:
        """Return the trace id of the next span, if it starts a trace."""
        return self.trace

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        return self.span


class Sender(SpanExporter):
    """Sends spans as OTLP over HTTP; `sent` and `failed` count them.

    Once `ending` is set, nothing is sent to a collector that failed.
    """

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self.sent = self.failed = 0
        self.ending = False
        self._failing = False
        self._exporter = OTLPSpanExporter(endpoint, timeout=timeout_s)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; a failure loses only these."""
        given_up = self.ending and self._failing
        result = SpanExportResult.FAILURE if given_up else self._exporter.export(spans)
        self._failing = result is not SpanExportResult.SUCCESS
        if self._failing:
            self.failed += len(spans)
        else:
            self.sent += len(spans)
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
