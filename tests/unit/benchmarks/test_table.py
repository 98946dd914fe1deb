"""The page of the benchmark: medians, spans, ratios, refusals and failures."""

from pathlib import Path

from benchmarks.measure import Started
from benchmarks.rivals import servers
from benchmarks.rounds import Results
from benchmarks.table import write_page
from tests.helpers.measurements import measurement


def page(tmp_path: Path, results: Results) -> str:
    write_page(tmp_path / "benchmarks.md", results)
    return (tmp_path / "benchmarks.md").read_text(encoding="utf-8")


def test_the_page_has_medians_spans_and_ratios(tmp_path):
    runs = [measurement("default", rate, round_=number) for number, rate in enumerate((1000, 1200, 5000))]
    runs += [measurement("mosec", rate, round_=number) for number, rate in enumerate((500, 600, 1000))]
    text = page(tmp_path, Results({"cpu": "x", "cpus": 2}, runs, versions={"mosec": "mosec 0.9.8"}, others=[1.0, 3.0]))
    assert "3 rounds." in text
    assert "| **onnxserve: default path** | 1,200 [1,000-5,000] | 1.00 | - |" in text
    assert "| mosec | 600 [500-1,000] | 2.00 | - |" in text
    assert text.index("onnxserve: default path** |") < text.index("| mosec |")
    assert "mosec 0.9.8" in text
    assert "Before a round, other processes used 2 % of the CPU time, 3 % at most." in text
    assert (tmp_path / "benchmarks-segment.svg").read_text().startswith("<?xml")


def test_refused_requests_are_shown_and_latencies_that_they_have_a_part_in_are_marked(tmp_path):
    refused = {"429": 1500, "broken": 2}
    text = page(tmp_path, Results({}, [measurement("default", 500, 256, requests=9000, refused=refused)]))
    assert "| 500 [500-500] | 1.00† | 2.00† | - | 1,500 x 429, 2 x broken |" in text


def test_a_server_that_failed_has_a_row_that_says_why(tmp_path):
    failures = {"segment": {"triton": "ended with 1: no | libpython\nlast lines of the log"}}
    text = page(tmp_path, Results({}, [measurement("default", 500)], failures=failures))
    assert "| Triton, Python backend (failed: ended with 1: no / libpython) | - | - | - |" in text
    assert "last lines of the log" not in text


def test_memory_is_that_of_the_largest_run_by_program(tmp_path):
    runs = [
        measurement("default", 1, memory_mb={"nginx": 8, "java": 200}),
        measurement("default", 1, memory_mb={"nginx": 9, "java": 1}),
    ]
    starts = [Started("segment", "default", 4.25, 1.0)]
    text = page(tmp_path, Results({}, runs, starts))
    assert "| **onnxserve: default path** | 208 | java 200, nginx 8 | 4.2 |" in text


def test_the_set_up_of_every_server_is_on_the_page_also_of_those_that_serve_some_models_only(tmp_path):
    lines = page(tmp_path, Results({})).splitlines()
    for model in ("segment", "sentiment", "digits"):
        for server in servers(model):
            assert lines.count(f"| {server.title} | {server.setup} |") == 1, server.name
