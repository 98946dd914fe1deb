"""The benchmark's own arithmetic: what is counted, what is refused, what the page says."""

import httpx
import msgspec
import pytest

import benchmarks.__main__ as bench
from benchmarks import canary, stage
from benchmarks.measure import Measured, Plan, check_labels, length
from benchmarks.quantised import section
from benchmarks.table import Summary, ratios, write_page
from benchmarks.wrk import Run


def run(labels: dict[str, int], failed: int = 0) -> Run:
    return Run(100, 1, 2, failed, sum(labels.values()) + failed, 1, labels)


def row(rival: str, rate: float, concurrency: int = 64, p50: float = 1) -> Measured:
    return Measured("segment", rival, concurrency, rate, p50, 2, 0, 0.1, 50, 1)


def test_labels_that_come_as_often_as_their_rows_are_right():
    check_labels(run({"a": 3000, "b": 1500}), ["a", "a", "b"], 1)


@pytest.mark.parametrize("labels", [{"a": 1500, "b": 3000}, {"a": 4500}, {"a": 3000, "b": 1000, "c": 500}])
def test_wrong_answers_under_load_make_no_result(labels):
    with pytest.raises(RuntimeError, match=r"came \d+ times, expected"):
        check_labels(run(labels), ["a", "a", "b"], 1)


def test_the_page_has_medians_spans_ratios_and_who_was_skipped(tmp_path):
    runs = [row("c", rate) for rate in (1000, 1200, 5000)] + [row("a", 100), row("e", 300), row("nginx", 4000)]
    runs += [row("c", 50, 1, p50=0.5), row("e", 40, 1, p50=0.6)]
    page = tmp_path / "90-benchmarks.md"
    write_page(page, {"cpu": "x", "cpus": 2}, runs, {"segment/h": "can't be installed: no wheel"})
    text = page.read_text()
    assert "1,200 [1,000-5,000]" in text
    assert "3 rounds." in text
    assert "c=64: 12.0 times TorchServe out of the box" in text
    assert "c=64: 4.0 times the best of (d) to (i), FastAPI, onnxruntime" in text
    assert "c=64: 30 % of an empty answer by nginx" in text
    assert "c=1: p50 0.50 ms; the fastest rival, FastAPI, onnxruntime: 0.60 ms" in text
    assert "segment/h: can't be installed: no wheel" in text
    assert (tmp_path / "90-benchmarks-segment.svg").read_text().startswith("<?xml")


def test_without_our_own_figures_nothing_is_claimed():
    assert ratios("segment", Summary([row("a", 100)])) == []


def test_the_quantisation_page_has_ratios_and_verdicts():
    variant = {"variant": "fp32", "megabytes": 2.0, "paired": None, "refusal": "", "moves": False}
    paired = {"accuracy": 0.9, "drop": 0.01, "bound": 0.02, "flips": 0.03}
    document = {
        "served": {"threads": 1, "batch": 8},
        "summary": {"variant": "fp32", "budget": 0.01, "reference_accuracy": 0.9},
        "data": {"rows": {"certify": 10}},
        "timings": [
            {"variant": name, "threads": 1, "batch": batch, "ms": ms}
            for name, ms in (("fp32", 2.0), ("torch", 6.0), ("bad", 1.0))
            for batch in (1, 8)
        ],
        "variants": [variant, variant | {"variant": "bad", "paired": paired, "refusal": "too bad", "moves": True}],
        "refused": {"w4": "could not be made"},
    }
    page = "\n".join(section("m", document))
    assert "| fp32 | 2.0 | - | - | - | - | 3.00 | 3.00 | 1.00 | 1.00 | chosen |" in page
    assert "| bad | 2.0 | 90.00 | 1.00 | 2.00 | 3.00 | 6.00 | 6.00 | 2.00 | 2.00 | refused, one row at a time |" in page
    assert "could not be made" in page


def test_a_slow_server_gets_time_to_answer_every_client():
    plan = Plan(seconds=4)
    assert length(plan, pace=10_000, concurrency=256) == 4
    assert length(plan, pace=15, concurrency=64) == 13
    assert length(plan, pace=0, concurrency=256) == 20


def test_results_are_added_to_those_of_the_same_machine_only(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    assert bench.begin(more=True).runs == []
    kept = bench.Results(bench.machine(), [row("c", 1)])
    bench.RESULTS.write_bytes(msgspec.json.encode(kept))
    assert bench.begin(more=True).runs == kept.runs
    assert bench.begin(more=False).runs == []
    bench.RESULTS.write_bytes(msgspec.json.encode(bench.Results({"cpu": "another"})))
    with pytest.raises(SystemExit, match="another machine"):
        bench.begin(more=True)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(200), "answered"),
        (httpx.Response(200, headers={"x-onnxserve-degraded": "cache"}), "degraded: cache"),
        (httpx.Response(503, json={"error": {"type": "unavailable"}}), "refused: 503 unavailable"),
        (httpx.Response(503, text="oops"), "lost"),
    ],
)
def test_an_answer_without_a_type_counts_as_lost(answer, kind):
    assert stage.kind(answer) == kind


def test_a_simulated_canary_that_fails_is_accused_and_a_harmless_one_is_not():
    assert canary.course(1, (0.2, 0, 0, 0), 2_000) is not None
    assert canary.course(1, (0, 0, 0, 0), 500) is None
