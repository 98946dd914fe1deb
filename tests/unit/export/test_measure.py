"""Candidates are measured together, and told in their order."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from onnxserve_export import measure
from onnxserve_export.measure import broken
from onnxserve_export.records import Candidate


def test_as_many_candidates_run_at_a_time_as_there_are_cores(monkeypatch, tmp_path: Path):
    both = threading.Barrier(2, timeout=60)
    graphs = [tmp_path / "first.onnx", tmp_path / "second.onnx"]
    for path in graphs:
        path.write_bytes(b"")
    monkeypatch.setattr(measure, "cpus", lambda: 2)
    monkeypatch.setattr(measure, "together", lambda state, candidate: both.wait())
    monkeypatch.setattr(
        measure,
        "measure_candidate",
        lambda state, candidate, outputs, acceptance: broken(candidate, f"after {outputs.result() in (0, 1)}"),
    )
    lines: list[str] = []
    state: Any = SimpleNamespace(split=SimpleNamespace(units=lambda _: 0), progress=lambda *_: None, say=lines.append)
    state.candidates = [Candidate(path.stem, path) for path in graphs]
    measure.call(state)
    assert [result.variant for result in state.measured] == ["first", "second"]
    assert lines == ["      first: after True", "      second: after True"]
