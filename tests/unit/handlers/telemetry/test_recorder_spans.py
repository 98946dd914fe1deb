"""Spans of batches: only with sampled requests, linked to each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.telemetry.recorder import Recorder, Spans, context_of, make_spans
from tests.helpers.fakes import signature, with_fake_session
from tests.helpers.kinds import TableClassifier

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def handler(exported) -> TableClassifier:
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"), max_rows=3, max_bytes=600)
    handler.prepare()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    handler.recorder = Recorder(handler, Spans(provider.get_tracer("test"), signature(), "CPUExecutionProvider"))
    return handler


def ask(handler: TableClassifier, *parents: str) -> list[bytes]:
    context = OfflineContext(Path())
    context.headers = [{"Content-Type": "application/json", "traceparent": parent} for parent in parents]
    return handler.handle([{"body": bytearray(b"[1, 2]")} for _ in parents], context)


def test_a_batch_is_one_span_under_its_first_sampled_request_and_linked_to_all(handler, exported):
    other = "0" * 31 + "1"
    answers = ask(handler, f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-01", f"00-{other}-{SPAN}-01", "nonsense")
    assert len(answers) == 4
    [span] = exported.get_finished_spans()
    assert (span.name, span.attributes["onnxserve.requests"]) == ("batch", 4)
    assert span.attributes["onnxserve.model"] == "demo"
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE, other]
    assert 0 < span.end_time - span.start_time < 10**10
    assert span.attributes["onnxserve.inference_ms"] > 0


def test_without_a_sampled_request_there_is_no_span(handler, exported):
    ask(handler, f"00-{TRACE}-{SPAN}-00", "")
    assert exported.get_finished_spans() == ()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{'x' * 32}-{SPAN}-01",
    ],
)
def test_what_is_no_context_is_none(header):
    assert context_of({"traceparent": header}) is None


def test_without_a_collector_nothing_is_made(monkeypatch):
    monkeypatch.delenv("ONNXSERVE_TRACES", raising=False)
    assert make_spans(signature(), "CPUExecutionProvider") is None
