"""Candidates are measured together, and told in their order."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from onnxserve_export import measure
from onnxserve_export.measure import broken
from onnxserve_export.records import Candidate, Measured


def test_as_many_candidates_run_at_a_time_as_there_are_cores(monkeypatch, tmp_path: Path):
    graphs = [tmp_path / f"{name}.onnx" for name in ("first", "second", "third")]
    for path in graphs:
        path.write_bytes(b"")
    events: list[str] = []

    def start(_: Any, candidate: Candidate) -> str:
        events.append(f"{candidate.variant} runs")
        return candidate.variant

    def measured(_: Any, candidate: Candidate, run: str, __: Any) -> Measured:
        events.append(f"{run} is measured")
        return broken(candidate, "slow")

    monkeypatch.setattr(measure, "cpus", lambda: 2)
    monkeypatch.setattr(measure, "together", start)
    monkeypatch.setattr(measure, "measure_candidate", measured)
    lines: list[str] = []
    state: Any = SimpleNamespace(split=SimpleNamespace(units=lambda _: 0), progress=lambda *_: None, say=lines.append)
    state.candidates = [Candidate(path.stem, path) for path in graphs]
    measure.call(state)
    assert [result.variant for result in state.measured] == ["first", "second", "third"]
    assert lines == ["      first: slow", "      second: slow", "      third: slow"]
    assert events == [
        "first runs",
        "second runs",
        "first is measured",
        "third runs",
        "second is measured",
        "third is measured",
    ]
