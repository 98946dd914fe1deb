"""The command line of the benchmark, and its results."""

import pytest

import benchmarks.__main__ as bench
from benchmarks.rounds import Results
from tests.helpers.measurements import measurement


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
    kept = Results(bench.machine(), [measurement("default", 1)])
    bench.save(kept)
    assert bench.begin(more=True).runs == kept.runs
    assert bench.begin(more=False).runs == []
    bench.save(Results({"cpu": "another"}))
    with pytest.raises(SystemExit, match="another machine"):
        bench.begin(more=True)
