"""A real export that is ended meanwhile leaves no process, no part of an archive and no temporary file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.helpers.waiting import wait_for

CHURN = Path(__file__).parents[2] / "models" / "churn"
GRAPH, LOAD, JOIN = "graph_process.py", "features/program.py", "onnxserve.features.join"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model's folder, as `onnxserve new` writes it."""
    work: Path = tmp_path_factory.mktemp("interrupted")
    subprocess.run([sys.executable, "-m", "onnxserve", "new", "table", "small"], cwd=work, check=True)
    return work / "models" / "small"


def running(process: psutil.Process, program: str) -> list[psutil.Process]:
    """Return the processes below one that run a program."""
    programs = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(word.endswith(program) for word in child.cmdline()[1:3]):
                programs.append(child)
    return programs


def end_export(folder: Path, work: Path, program: str, kind: signal.Signals) -> None:
    """End an export as soon as a program of its own runs; every process of it ends, and nothing is stored."""
    scratch, store = work / "tmp", work / "store"
    scratch.mkdir()
    command = [sys.executable, "-m", "onnxserve", "export", str(folder), "--store", str(store)]
    export = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(scratch)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        process = psutil.Process(export.pid)
        wait_for(lambda: running(process, program) or export.poll() is not None)
        below = process.children(recursive=True)
        assert below, export.communicate()[0]
        export.send_signal(kind)
        output, _ = export.communicate(timeout=60)
        _, left = psutil.wait_procs(below, 30)
    finally:
        export.kill()
        export.wait()
    assert not left
    assert "Traceback" not in output
    assert export.returncode in {1, 130, -signal.SIGKILL}
    assert not [path for path in store.rglob("*") if path.is_file()]
    if kind != signal.SIGKILL:
        assert not list(scratch.glob("onnxserve-*"))


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_export_that_is_ended_while_graphs_run_leaves_nothing(folder, tmp_path, kind):
    end_export(folder, tmp_path, GRAPH, kind)


@pytest.mark.parametrize(
    ("program", "kind"), [(LOAD, signal.SIGKILL), (JOIN, signal.SIGKILL), (JOIN, signal.SIGTERM)], ids=str
)
def test_an_export_that_is_ended_while_feast_works_leaves_nothing(tmp_path, program, kind):
    end_export(CHURN, tmp_path, program, kind)
