"""An archive of 0.2.0, with its handlers in one folder, still verifies, scores files, and loads in both workers."""

from __future__ import annotations

import lzma
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from onnxserve.archive import check_archive, unpack
from tests.helpers.frontend import FAST, batch_frame, load_frame, plain, started, stock

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("old") / "circle-1.0.0.mar"
    path.write_bytes(lzma.decompress((DATA / "circle-0.2.0.mar.xz").read_bytes()))
    return path


def test_its_digests_and_golden_rows_hold(old):
    checked = check_archive(old)
    assert (checked.name, checked.version) == ("circle", "1.0.0")
    assert checked.golden_rows > 0


def test_it_scores_files(old, tmp_path):
    (tmp_path / "rows.csv").write_text("x,y\n0,0\n2,2\n")
    command = [sys.executable, "-m", "onnxserve", "batch", str(old), "rows.csv", "-o", "out"]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    [part] = (tmp_path / "out").glob("*.parquet")
    assert pq.read_table(part).column("prediction").to_pylist() == ["inside", "outside"]


@pytest.mark.parametrize("script", [FAST, stock()], ids=["our worker", "TorchServe's"])
def test_it_loads_and_answers(old, tmp_path, script):
    folder, home = tmp_path / "model", tmp_path / "home"
    unpack(old, folder)
    home.mkdir()
    with started(script, home, PYTHONPATH=str(folder) if script == stock() else "") as worker:
        assert struct.unpack("!i", worker.ask(load_frame(folder, "service.py"))[:4]) == (200,), worker.output
        answer = worker.ask(batch_frame(plain("r1", b"[0, 0]", "application/json")))
        assert b'"label":"inside"' in answer
