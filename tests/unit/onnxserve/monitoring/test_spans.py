"""Spans of the gateway: names that a collector can group by, parents, and how many may wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import StatusCode

from onnxserve.monitoring import span_export, spans
from onnxserve.monitoring.access_log import Entry
from onnxserve.monitoring.spans import Spans, attributes, client_kind, route_of, span_name
from tests.helpers.observed import samples

TRACE, OWN, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "b7ad6b7169203331", "00f067aa0ba902b7"
SAMPLED = Entry(
    1e9,
    200,
    0.25,
    300,
    500,
    "POST",
    "/predictions/demo",
    "id",
    "demo",
    "1.0",
    client="10.0.0.1",
    address="10.0.0.1",
    traceparent=f"00-{TRACE}-{OWN}-01",
    parent=f"00-{TRACE}-{CLIENT}-01",
)


def entry(**fields: Any) -> Entry:
    return msgspec.structs.replace(SAMPLED, **fields)


@pytest.fixture
def sent(monkeypatch) -> list[ReadableSpan]:
    """What a collector would get."""
    exported: list[ReadableSpan] = []

    def export(self, batch: Sequence[ReadableSpan]) -> SpanExportResult:
        exported.extend(batch)
        self.sent += len(batch)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(span_export.Sender, "export", export)
    return exported


def spans_of(sent: list[ReadableSpan], *entries: Entry) -> list[ReadableSpan]:
    spans = Spans("http://127.0.0.1:4318")
    spans.add(entries)
    spans.stop()
    return sent


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/predictions/demo", "/predictions/{model}"),
        ("/predictions/demo/1.0", "/predictions/{model}/{version}"),
        ("/v1/models/demo:predict", "/v1/models/{model}:predict"),
        ("/v2/models/demo", "/v2/models/{model}"),
        ("/v2/models/demo/infer", "/v2/models/{model}/infer"),
        ("/v2/models/demo/versions/1.0/ready", "/v2/models/{model}/versions/{version}/ready"),
        ("/v2/health/live", "/v2/health/live"),
        ("/predictions/demo/1.0/more", ""),
        ("/made/up", ""),
    ],
)
def test_a_path_is_named_by_its_route_and_one_that_is_not_served_by_none(path, route):
    assert route_of(path) == route
    assert span_name(entry(path=path)) == f"POST {route}".rstrip()


def test_a_call_is_named_by_its_method_and_has_its_code():
    call = entry(path="/inference.GRPCInferenceService/ModelInfer", grpc="14", error="unavailable")
    assert span_name(call) == "inference.GRPCInferenceService/ModelInfer"
    known = attributes(call)
    assert (known["rpc.system"], known["rpc.grpc.status_code"], known["error.type"]) == ("grpc", 14, "unavailable")


def test_attributes_say_how_a_client_is_known_and_never_who_it_is():
    kinds = {"10.0.0.1": "address", "jwt:ann": "token", "shop": "key"}
    for client, kind in kinds.items():
        request = entry(client=client)
        assert client_kind(request) == kind
        assert client not in attributes(request).values()
    assert "onnxserve.cache" not in attributes(SAMPLED)


def test_a_span_has_the_ids_that_were_passed_on_and_the_times_of_the_request(sent):
    [span] = spans_of(sent, SAMPLED)
    assert (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") == (TRACE, OWN)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == CLIENT
    assert (span.start_time, span.end_time) == (10**18 - 250_000_000, 10**18)
    assert span.resource.attributes["service.name"] == "onnxserve-gateway"
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("parent", ["", "nonsense", f"00-{'1' * 32}-{CLIENT}-01", f"00-{TRACE}-{'0' * 16}-01"])
def test_a_trace_whose_parent_is_unknown_begins_with_the_gateway(sent, parent):
    [span] = spans_of(sent, entry(parent=parent))
    assert (span.parent, f"{span.context.trace_id:032x}") == (None, TRACE)


def test_only_sampled_requests_have_spans(sent):
    flags = ["00", "01", "02", "03", "ff", ""]
    assert len(spans_of(sent, *(entry(traceparent=f"00-{TRACE}-{OWN}-{flag}") for flag in flags))) == 3


def test_failures_of_the_server_are_errors_and_refusals_are_none(sent):
    spans = spans_of(sent, entry(status=503, error="unavailable"), entry(grpc="13"), entry(status=429), entry(grpc="5"))
    assert [span.status.status_code is StatusCode.ERROR for span in spans] == [True, True, False, False]
    assert spans[0].status.description == "unavailable"


def test_more_spans_than_may_wait_are_lost_and_counted(monkeypatch):
    monkeypatch.setattr(spans, "MOST_WAITING", 600)
    monkeypatch.setattr(span_export.Sender, "export", lambda *_: SpanExportResult.FAILURE)  # never counts them
    spans_of = Spans("http://127.0.0.1:4318")
    spans_of.add([SAMPLED] * 1000)
    counts = samples("".join(f"{line}\n" for line in spans_of.lines()))
    spans_of.stop()
    assert counts["onnxserve_gateway_spans_total", "lost"] == 400
