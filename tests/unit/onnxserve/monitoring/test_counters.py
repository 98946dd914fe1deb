"""What the access log's lines are counted as, on a page that Prometheus' own parser reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnxserve.monitoring.access_log import AccessLog, Entry, http_status
from onnxserve.monitoring.counters import Counters
from onnxserve.monitoring.exposition import Counter, Histogram, gauge
from tests.helpers.observed import Samples, samples

PREDICTION = Entry(1e9, 200, 0.003, 300, 500, "POST", "/predictions/demo", "id", "demo", "1.0")


def entry(**fields: Any) -> Entry:
    return msgspec.structs.replace(PREDICTION, **fields)


def counted(*entries: Entry) -> Samples:
    """Samples by name and labels' values."""
    counters = Counters()
    counters.add(entries)
    return samples("\n".join(counters.lines()) + "\n")


def test_predictions_are_counted_by_version_and_status_and_their_times_in_buckets():
    counts = counted(PREDICTION, entry(seconds=0.2), entry(status=503, version="2.0"))
    name = "onnxserve_gateway_request_seconds"
    assert counts["onnxserve_gateway_requests_total", "demo", "1.0", "200"] == 2
    assert counts["onnxserve_gateway_requests_total", "demo", "2.0", "503"] == 1
    buckets = [counts[f"{name}_bucket", "demo", "1.0", bound] for bound in ("0.002", "0.005", "0.2", "+Inf")]
    assert buckets == [0, 1, 2, 2]
    assert counts[f"{name}_count", "demo", "1.0"] == 2
    assert counts[f"{name}_sum", "demo", "1.0"] == pytest.approx(0.203)
    assert counts["onnxserve_gateway_received_bytes_total",] == 900
    assert counts["onnxserve_gateway_sent_bytes_total",] == 1500


def test_a_call_counts_with_the_status_that_its_code_stands_for():
    counts = counted(entry(grpc="0"), entry(grpc="14"), entry(grpc="99"), entry(grpc="3"))
    codes = {values[-1]: count for values, count in counts.items() if values[0].endswith("requests_total")}
    assert codes == {"200": 1, "503": 1, "500": 1, "400": 1}
    assert http_status(404, "") == "404"


def test_what_is_no_prediction_has_neither_model_nor_version():
    counts = counted(entry(method="GET"), entry(version="", status=404, error="not_found"))
    assert counts["onnxserve_gateway_requests_total", "", "", "200"] == 1
    assert counts["onnxserve_gateway_requests_total", "", "", "404"] == 1
    assert counts["onnxserve_gateway_refusals_total", "", "not_found"] == 1
    assert not any("demo" in values for values in counts)


def test_refusals_count_by_type_and_take_no_time():
    refused = entry(status=429, error="overloaded", seconds=0.0)
    counters = Counters()
    full = entry(status=503, error="overloaded", seconds=0.0)
    counters.add([refused, full, entry(status=429, error="rate_limited")])
    counts = samples("\n".join(counters.lines()) + "\n")
    assert counts["onnxserve_gateway_refusals_total", "demo", "overloaded"] == 2
    assert ("onnxserve_gateway_request_seconds_count", "demo", "1.0") not in counts
    assert (counters.refusals("demo"), counters.refusals("other")) == (2, 0)


def test_cached_degraded_and_suspicious_answers_are_counted():
    counts = counted(
        entry(cache="hit"), entry(cache="hit", degraded="cache"), entry(client='e\\v"e\n', alert="probing")
    )
    assert counts["onnxserve_cache_answers_total", "demo", "hit"] == 2
    assert counts["onnxserve_gateway_degraded_total", "demo", "cache"] == 1
    assert counts["onnxserve_probing_alerts_total", 'e\\v"e\n'] == 1


def test_clients_and_kinds_of_errors_are_told_apart_up_to_a_bound():
    counts = counted(*(entry(client=f"c{number}", alert="probing") for number in range(3000)))
    clients = {values[1]: count for values, count in counts.items() if values[0] == "onnxserve_probing_alerts_total"}
    assert len(clients) == 1001
    assert clients["other"] == 2000


def test_metrics_without_labels_are_there_before_anything_is_counted():
    bare, labelled = Counter("a_total", "A."), Counter("b_total", "B.", ("by",))
    assert list(bare.lines())[2:] == ["a_total 0.0"]
    assert list(labelled.lines())[2:] == []
    assert list(gauge("c", "C.", (), {(): 1}))[2:] == ["c 1"]


def test_series_of_a_histogram_are_bounded():
    histogram = Histogram("h", "H.", ("of",), (1.0,), most=2)
    for number in range(4):
        histogram.observe((str(number),), 0.5)
    counts = samples("\n".join(histogram.lines()) + "\n")
    assert {values[1]: count for values, count in counts.items() if values[0] == "h_count"} == {
        "0": 1,
        "1": 1,
        "other": 2,
    }


def read_logged(path: Path, *lines: bytes) -> tuple[list[Entry], int]:
    log = AccessLog(path)
    path.write_bytes(b"\n".join(lines) + b"\n")
    entries = [entry for some in log.read() for entry in some]
    log.close()
    return entries, log.damaged


def test_damaged_lines_are_counted_and_cost_no_other(tmp_path):
    good = msgspec.json.encode(PREDICTION)
    cut, old = good[:90] + good, good.replace(b'"status":200', b'"status":009')
    assert read_logged(tmp_path / "access.log", good, cut, old, good, b"") == ([PREDICTION, PREDICTION], 3)


def test_bytes_that_are_no_text_do_not_hide_a_request(tmp_path):
    odd = msgspec.json.encode(entry(path="/predictions/?")).replace(b"?", b"\xff")
    entries, damaged = read_logged(tmp_path / "access.log", odd)
    assert ([entry.path for entry in entries], damaged) == (["/predictions/\ufffd"], 0)
