"""A graph's outputs take room on disk and an open file no longer than somebody uses them."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from onnxserve.definition import read_definition
from onnxserve_export import run
from onnxserve_export.batches import Batches, write_batches
from onnxserve_export.export_state import ExportState
from onnxserve_export.graph_outputs import GraphOutputs, outputs_for
from onnxserve_export.run import GraphCrashed, run_graph
from tests import ROOT
from tests.helpers.waiting import wait_for

ROWS, SIDE = 8, 16


@pytest.fixture
def graph(tmp_path) -> Path:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", SIDE]) for name in ("x", "y"))
    neg = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "neg", [x], [y])
    path: Path = tmp_path / "n.onnx"
    onnx.save(helper.make_model(neg, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def batches(tmp_path) -> Batches:
    return write_batches([{"x": np.full((2, SIDE), number, np.float32)} for number in range(ROWS)], tmp_path / "x.npz")


def held(folder: Path) -> set[str]:
    """Return the open and mapped files in a folder, those whose names are gone included."""
    names = {str(entry.readlink()) for entry in open_files() if entry.is_symlink()}
    names |= {line.split(maxsplit=5)[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    return {name for name in names if name.startswith(str(folder))}


def open_files() -> list[Path]:
    return list(Path("/proc/self/fd").iterdir())


def test_outputs_leave_nothing_behind(graph, batches, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    outputs = outputs_for(graph, batches, {}, scratch)
    assert outputs["y"][:, 0].tolist() == [-number for number in range(ROWS) for _ in range(2)]
    assert not list(scratch.iterdir())
    assert len(held(scratch)) == 1  # the array's own map
    del outputs
    gc.collect()
    assert held(scratch) == set()


def test_a_file_of_outputs_goes_with_its_object(graph, batches, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    kept = GraphOutputs(graph, batches, {}, scratch)
    assert len(list(scratch.iterdir())) == 1
    part = Batches(batches.path, 2, 4)
    assert kept.of(part)["y"][:, 0].tolist() == [-2, -2, -3, -3]
    del kept
    gc.collect()
    assert not list(scratch.iterdir())
    with pytest.raises(GraphCrashed):
        outputs_for(tmp_path / "missing.onnx", batches, {}, scratch)
    gc.collect()
    assert not list(scratch.iterdir())


def test_batches_in_memory_run_without_a_file_that_stays_open(graph):
    before = len(open_files())
    for _ in range(2):
        [outputs] = run_graph(graph, [{"x": np.ones((1, SIDE), np.float32)}])
    assert outputs["y"].tolist() == [[-1] * SIDE]
    assert len(open_files()) == before


def test_a_graph_that_runs_for_too_long_counts_as_crashed(graph, batches, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "TIMEOUT_S", 0.001)
    with pytest.raises(GraphCrashed, match=r"runs for more than 0\.001 s"):
        outputs_for(graph, batches, {}, tmp_path)


def write_sleeper(folder: Path) -> Path:
    """Write a program that makes the folder `runs`, and stays."""
    sleeper = folder / "sleeper.py"
    sleeper.write_text(f"import pathlib, time\npathlib.Path({str(folder / 'runs')!r}).mkdir()\ntime.sleep(600)\n")
    return sleeper


def test_outputs_are_computed_beside_other_work_until_somebody_closes_them(tmp_path, monkeypatch, batches):
    monkeypatch.setattr(run, "GRAPH_PROCESS", write_sleeper(tmp_path))
    scratch, mark = tmp_path / "scratch", tmp_path / "runs"
    scratch.mkdir()
    before = psutil.Process().children()
    outputs = GraphOutputs(tmp_path / "graph.onnx", batches, {}, scratch)  # returns though nothing has run yet
    [process] = [child for child in psutil.Process().children() if child not in before]
    deadline = time.monotonic() + 30
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mark.exists()
    assert process.is_running()
    outputs.close()
    assert not process.is_running()
    assert not list(scratch.iterdir())


def test_what_an_export_started_ends_with_it_though_somebody_holds_it(tmp_path, monkeypatch, batches):
    monkeypatch.setattr(run, "GRAPH_PROCESS", write_sleeper(tmp_path))
    state = ExportState(read_definition(ROOT / "models" / "segment"), tmp_path / "store", tmp_path / "scratch")
    state.row_axes = {}
    state.scratch.mkdir()
    before = psutil.Process().children()
    with state.running:
        outputs = state.start(tmp_path / "graph.onnx", batches)
        [process] = [child for child in psutil.Process().children() if child not in before]
    assert not process.is_running()
    assert not list(state.scratch.iterdir())
    assert not outputs.close.alive


def test_a_graphs_process_ends_with_the_program_even_by_sigkill(tmp_path):
    code = "import pathlib, sys, time; from onnxserve_export import run; run.GRAPH_PROCESS = pathlib.Path(sys.argv[1]);"
    code += "process = run.GraphProcess(); time.sleep(600)"
    program = subprocess.Popen([sys.executable, "-c", code, str(write_sleeper(tmp_path))])
    try:
        wait_for((tmp_path / "runs").exists)
        [process] = psutil.Process(program.pid).children()
    finally:
        program.kill()
        program.wait()
    process.wait(60)
