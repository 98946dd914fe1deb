"""An export that is told to end leaves neither processes nor temporary files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.helpers.waiting import wait_for

LOAD = """
import pathlib, time

def load(fit):
    pathlib.Path({up!r}).touch()
    time.sleep(600)

def rows():
    return [([number / 100, 1.0], "outside") for number in range(50)]
"""


def test_sigterm_removes_temporary_files(definition, tmp_path):
    model = Path(shutil.copytree(definition, tmp_path / "circle"))
    (tmp_path / "scratch").mkdir()
    (model / "model.py").write_text(LOAD.format(up=str(tmp_path / "up")))
    words = ["export", str(model), "--store", str(tmp_path / "store"), "--state", str(tmp_path / "state")]
    environment = os.environ | {"TMPDIR": str(tmp_path / "scratch")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "onnxserve", *words], stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        wait_for(lambda: (tmp_path / "up").exists() or process.poll() is not None, 120)
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert list((tmp_path / "scratch").glob("onnxserve-*"))
        process.terminate()
        assert process.wait(60) > 0
        assert list((tmp_path / "scratch").glob("onnxserve-*")) == []
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
