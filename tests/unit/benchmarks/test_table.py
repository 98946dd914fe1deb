"""The benchmark's own arithmetic: what is counted, what fits into the time, what the page says."""

import tomllib
from pathlib import Path

import msgspec
import pytest

import benchmarks.__main__ as bench
from benchmarks import ROOT
from benchmarks.arguments import MODELS
from benchmarks.measure import Measured, Started, check_labels
from benchmarks.plan import Plan
from benchmarks.prepare import Bench, v2_bodies
from benchmarks.readme import BEGIN, END, into_readme, readme_table, unmeasured
from benchmarks.rivals import LIMITS, TITLES, servers
from benchmarks.rounds import Results
from benchmarks.subject import SHIPPED, changed
from benchmarks.summary import Summary
from benchmarks.table import write_page
from benchmarks.targets import TARGETS, Target, target_table
from benchmarks.wrk import Run, refusals


def run(server: str, rate: float, clients: int = 64, round_: int = 0, p50: float = 1, **more) -> Measured:
    return Measured("segment", server, clients, round_, rate, p50, 2, **more)


def page(tmp_path: Path, results: Results) -> str:
    write_page(tmp_path / "benchmarks.md", results)
    return (tmp_path / "benchmarks.md").read_text(encoding="utf-8")


def test_labels_that_come_as_often_as_their_rows_are_right():
    check_labels({"a": 3000, "b": 1500}, ["a", "a", "b"], 2)


@pytest.mark.parametrize("labels", [{"a": 1500, "b": 3000}, {"a": 4500}, {"a": 3000, "b": 1000, "c": 500}])
def test_wrong_answers_under_load_make_no_result(labels):
    with pytest.raises(RuntimeError, match=r"came \d+ times, expected"):
        check_labels(labels, ["a", "a", "b"], 2)


def test_refusals_are_counted_by_status_and_so_are_those_that_the_script_did_not_publish():
    assert refusals({"a": 640, "?429": 60, "?204": 3}, broken=2, errors=70) == {
        "429": 60,
        "204": 3,
        "not published": 10,
        "broken": 2,
    }
    assert refusals({"a": 640}, broken=0, errors=0) == {}


def test_only_answers_with_a_label_count_as_answered():
    load = Run(100, 1, 2, requests=1000, seconds=10, labels={"a": 900}, refused={"503": 90, "broken": 5})
    assert load.failed == 95
    assert load.answered == 910  # broken connections gave no response that wrk counts


def test_ratios_are_taken_round_by_round():
    # The machine is ten times slower in the second round: the ratio of each is 2, of the medians it would be 1.1.
    runs = [run("default", 2000, round_=0), run("default", 200, round_=1), run("mosec", 1000, round_=0)]
    runs += [run("mosec", 100, round_=1), run("mosec", 1000, round_=2)]
    ratio = Summary(runs).ratio("default", "mosec", 64, "rate")
    assert ratio is not None
    assert (ratio.low, ratio.median, ratio.high) == (2, 2, 2)


def test_a_server_without_answers_gives_no_ratio():
    assert Summary([run("default", 2000), run("mosec", 0)]).ratio("default", "mosec", 64, "rate") is None


@pytest.mark.parametrize(
    ("target", "ratio", "reached"),
    [
        (Target("default", "mosec", 64, 1.2), 1.3, True),
        (Target("default", "mosec", 64, 1.2), 1.1, False),
        (Target("default", "fastapi", 1, 1.4, "p50_ms"), 1.3, True),
        (Target("default", "fastapi", 1, 1.4, "p50_ms"), 1.5, False),
    ],
)
def test_speed_has_a_lower_bound_and_latency_an_upper_one(target, ratio, reached):
    assert target.reached(ratio) is reached


def test_targets_name_servers_and_numbers_of_clients_that_are_measured():
    for targets in TARGETS.values():
        for target in targets:
            assert {target.over, target.under} <= {server.name for server in servers("segment")}
            assert target.clients in Plan.clients


def test_targets_have_verdicts_and_costs_and_say_when_they_were_not_measured():
    runs = [run("default", 600), run("direct", 1000), run("mosec", 1000)]
    runs += [run("default", 50, 1, p50=0.4), run("fastapi", 40, 1, p50=0.3)]
    rows = "\n".join(target_table("segment", Summary(runs)))
    assert "default path / without gateway, requests/s, 64 clients | ≥ 0.55 | 0.60 [0.60-0.60] | 40.0 % | yes |" in rows
    assert "default path / mosec, requests/s, 64 clients | ≥ 1.20 | 0.60 [0.60-0.60] | 40.0 % | **no** |" in rows
    assert "default path / FastAPI, onnxruntime, p50, 1 client | ≤ 1.40 | 1.33 [1.33-1.33] | - | yes |" in rows
    assert "default path / Triton, Python backend, requests/s, 64 clients | ≥ 1.20 | - | - | not measured |" in rows


def test_the_default_path_comes_first_and_limits_last():
    names = list(TITLES)
    assert names[:4] == ["default", "keys", "cache", "direct"]
    assert names[-2:] == list(LIMITS)
    assert {"mosec", "triton", "fastapi", "fastapi-full"} <= set(names)


def test_the_page_has_medians_spans_and_ratios(tmp_path):
    runs = [run("default", rate, round_=number) for number, rate in enumerate((1000, 1200, 5000))]
    runs += [run("mosec", rate, round_=number) for number, rate in enumerate((500, 600, 1000))]
    text = page(tmp_path, Results({"cpu": "x", "cpus": 2}, runs, versions={"mosec": "mosec 0.9.8"}, others=[1.0, 3.0]))
    assert "3 rounds." in text
    assert "| **onnxserve: default path** | 1,200 [1,000-5,000] | 1.00 | - |" in text
    assert "| mosec | 600 [500-1,000] | 2.00 | - |" in text
    assert text.index("onnxserve: default path** |") < text.index("| mosec |")
    assert "mosec 0.9.8" in text
    assert "Other processes took 2 % of the CPUs before a round, 3 at most." in text
    assert (tmp_path / "benchmarks-segment.svg").read_text().startswith("<?xml")


def test_refused_requests_are_shown_and_latencies_that_they_have_a_part_in_are_marked(tmp_path):
    refused = {"429": 1500, "broken": 2}
    text = page(tmp_path, Results({}, [run("default", 500, 256, requests=9000, refused=refused)]))
    assert "| 500 [500-500] | 1.00† | 2.00† | - | 1,500 x 429, 2 x broken |" in text


def test_a_server_that_failed_has_a_row_that_says_why(tmp_path):
    failures = {"segment": {"triton": "ended with 1: no | libpython\nlast lines of the log"}}
    text = page(tmp_path, Results({}, [run("default", 500)], failures=failures))
    assert "| Triton, Python backend (failed: ended with 1: no / libpython) | - | - | - |" in text
    assert "last lines of the log" not in text


def test_memory_is_that_of_the_largest_run_by_program(tmp_path):
    runs = [
        run("default", 1, memory_mb={"nginx": 8, "java": 200}),
        run("default", 1, memory_mb={"nginx": 9, "java": 1}),
    ]
    starts = [Started("segment", "default", 4.25, 1.0)]
    text = page(tmp_path, Results({}, runs, starts))
    assert "| **onnxserve: default path** | 208 | java 200, nginx 8 | 4.2 |" in text


def test_the_readme_has_one_row_a_model_with_the_default_path_first_and_the_fastest_rival_by_name():
    runs = [run("default", 1000, p50=3), run("default", 50, 1, p50=0.7), run("fastapi", 300)]
    runs += [run("fastapi", 9, 1, p50=0.4)]
    runs += [run("mosec", 2000, round_=0), run("mosec", 2200, round_=1), run("cache", 9000), run("nginx", 99000)]
    lines = readme_table(Results({}, runs), ["segment", "digits"])
    assert len(lines) == 4
    assert lines[2] == "| `segment` | 1,000 [1,000-1,000] | mosec 2,100 [2,000-2,200] | 300 [300-300] | 0.70; 0.40 |"
    assert lines[3] == "| `digits` | - | - | - | -; - |"
    assert unmeasured(Results({}, runs), ["segment", "digits"]) == ["digits"]


def test_the_table_goes_between_the_marks_of_a_readme(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# X\n{BEGIN}\nold\n{END}\nrest\n", encoding="utf-8")
    results = Results({}, [run("default", 1000), run("mosec", 500)])
    into_readme(readme, results, ["segment"])
    text = readme.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| mosec 500 [500-500] |" in text
    assert text.startswith("# X\n")
    assert text.endswith(f"{END}\nrest\n")
    readme.write_text("# X\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        into_readme(readme, results, ["segment"])


def test_the_readme_of_the_project_has_marks_and_three_rows():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == [f"`{model}`" for model in MODELS]


def test_values_of_the_shipped_gateway_file_are_replaced_and_the_others_stay():
    shipped = SHIPPED.read_text(encoding="utf-8")
    before = tomllib.loads(shipped)
    after = tomllib.loads(changed(shipped, {"listen": {"port": "1234"}, "auth": {"required": "true"}}))
    assert after["listen"] == {**before["listen"], "port": 1234}
    assert after["auth"] == {**before.get("auth", {}), "required": True}
    same = set(before) - {"listen", "auth"}
    assert same
    assert {name: before[name] for name in same} == {name: after[name] for name in same}


def test_rows_of_the_open_inference_protocol_have_a_batch_dimension():
    table = Bench("segment", Path(), Path(), [[1.0, 2.0]], ["a"])
    [tensor] = msgspec.json.decode(v2_bodies(table)[0])["inputs"]
    assert (tensor["shape"], tensor["datatype"], tensor["data"]) == ([1, 2], "FP32", [1.0, 2.0])
    texts = Bench("sentiment", Path(), Path(), ["good"], ["a"])
    [tensor] = msgspec.json.decode(v2_bodies(texts)[0])["inputs"]
    assert (tensor["shape"], tensor["datatype"], tensor["data"]) == ([1, 1], "BYTES", ["good"])


def test_names_that_nobody_has_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.parse(["--servers", "default,mosek"])
    assert "unknown name mosek; choose from default," in capsys.readouterr().err
    with pytest.raises(SystemExit):
        bench.parse(["--clients", "1,many"])
    assert "--clients takes numbers" in capsys.readouterr().err
    assert bench.parse(["--servers", "default, mosec"]).servers == ["default", "mosec"]


def test_results_are_added_to_those_of_the_same_machine_only(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    assert bench.begin(more=True).runs == []
    kept = Results(bench.machine(), [run("default", 1)])
    bench.save(kept)
    assert bench.begin(more=True).runs == kept.runs
    assert bench.begin(more=False).runs == []
    bench.save(Results({"cpu": "another"}))
    with pytest.raises(SystemExit, match="another machine"):
        bench.begin(more=True)
