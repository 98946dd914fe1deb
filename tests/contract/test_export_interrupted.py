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

GRAPH_PROCESS = "graph_process.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model's folder, as `onnxserve new` writes it."""
    work: Path = tmp_path_factory.mktemp("interrupted")
    subprocess.run([sys.executable, "-m", "onnxserve", "new", "table", "small"], cwd=work, check=True)
    return work / "models" / "small"


def running_graphs(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes below one that run a graph."""
    graphs = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = child.cmdline()
            if len(command) > 1 and command[1].endswith(GRAPH_PROCESS):
                graphs.append(child)
    return graphs


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_export_that_is_ended_while_graphs_run_leaves_nothing(folder, tmp_path, kind):
    scratch, store = tmp_path / "tmp", tmp_path / "store"
    scratch.mkdir()
    command = [sys.executable, "-m", "onnxserve", "export", str(folder), "--store", str(store)]
    export = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(scratch)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        program = psutil.Process(export.pid)
        wait_for(lambda: running_graphs(program) or export.poll() is not None)
        below = program.children(recursive=True)
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
