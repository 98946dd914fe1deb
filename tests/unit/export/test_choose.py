"""Which candidates are timed and certified, and what is said where none runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onnxserve.definition import ServeSection
from onnxserve.errors import CheckFailed
from onnxserve_export import choose
from onnxserve_export.batches import write_batches
from onnxserve_export.records import Candidate, Timing


def test_where_no_variant_runs_each_has_its_reason_those_that_were_not_made_too(monkeypatch):
    monkeypatch.setattr(choose, "advice", lambda _: "give more rows")
    crashed: Any = SimpleNamespace(variant="fp32", refusal="crashed: exit 1")
    state: Any = SimpleNamespace(candidates=[], measured=[crashed], refused={"mixed": "no choice of nodes holds"})
    with pytest.raises(CheckFailed) as caught:
        choose.call(state)
    assert caught.value.measured == "no variant runs (mixed: no choice of nodes holds; fp32: crashed: exit 1)"


@pytest.mark.parametrize(
    ("provider", "installed", "names"),
    [
        ("auto", True, ["fp32", "torch", "fp32 on OpenVINO"]),
        ("auto", False, ["fp32", "torch"]),
        ("openvino", True, ["fp32", "torch"]),
        ("cuda", True, ["fp32", "torch"]),
    ],
)
def test_candidates_are_timed_on_openvino_too_where_it_is_installed_and_does_not_serve(
    monkeypatch, tmp_path, provider, installed, names
):
    used: list[str] = []

    def runner(_: Path, __: int, provider: str) -> Any:
        used.append(provider)
        return lambda batch: None

    monkeypatch.setattr(choose, "has_openvino", lambda: installed)
    monkeypatch.setattr(choose, "graph_runner", runner)
    monkeypatch.setattr(choose, "served_batches", lambda state, groups: [])
    monkeypatch.setattr(
        choose,
        "take_turns",
        lambda timed, threads, batch: [Timing(each.variant, threads, batch, 1.0) for each in timed],
    )
    serve = ServeSection(provider=provider, batch_size=1, threads=1)
    state: Any = SimpleNamespace(
        definition=SimpleNamespace(serve=serve),
        provider="openvino" if provider == "openvino" else "cpu",
        measured=[SimpleNamespace(variant="fp32", max_batch=1)],
        groups=SimpleNamespace(alone=write_batches([], tmp_path / "alone.npz")),
        model=SimpleNamespace(name="torch", runner=lambda threads: lambda batch: None),
        progress=lambda *_: None,
    )
    times = choose.time_candidates(state, [Candidate("fp32", Path())])
    assert [timing.variant for timing in times if timing.threads == 1] == names
    assert set(used) == {state.provider, *(["openvino"] if "fp32 on OpenVINO" in names else [])}


def test_a_candidate_that_openvino_cannot_run_is_not_timed_on_it_and_stays(monkeypatch):
    def runner(path: Path, _: int, __: str) -> Any:
        def run(_: Any) -> None:
            if path.name == "fp32":
                raise RuntimeError("no such operator")

        if path.name == "int8":
            raise RuntimeError("OpenVINO can't open the graph\nmore")
        return run

    lines: list[str] = []
    monkeypatch.setattr(choose, "graph_runner", runner)
    state: Any = SimpleNamespace(definition=SimpleNamespace(serve=ServeSection(threads=1)), say=lines.append)
    candidates = [Candidate(name, Path(name)) for name in ("int8", "fp32", "fp16")]
    assert list(choose.openvino_runners(state, candidates, [{}])) == ["fp16 on OpenVINO"]
    assert lines == [
        "      int8: not timed on OpenVINO: OpenVINO can't open the graph",
        "      fp32: not timed on OpenVINO: no such operator",
    ]
