"""Archives of the real torch-model-archiver, migrated; and a handler of TorchServe's own on both workers."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from onnxserve.archive import contents, unpack
from onnxserve.archive.offline import outputs
from onnxserve.errors import OnnxserveError
from onnxserve.migrate import convert, read_stock, wrap
from onnxserve_export.export import export_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.steps import STEPS
from tests.helpers.frontend import FAST, batch_frame, load_frame, plain, started, stock
from tests.helpers.stock import HANDLER, weights, write_zip
from tests.unit.onnxserve.migrate.test_convert import eager

TOOL = str(Path(sys.executable).parent / "torch-model-archiver")


class Twice(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def archived(folder: Path, form: str, *words: str) -> Path:
    """What torch-model-archiver writes in one of its formats."""
    command = [TOOL, "--model-name", "doubler", "--version", "1.0", "--archive-format", form, *words]
    subprocess.run([*command, "--export-path", str(folder)], check=True, capture_output=True, cwd=folder)
    [path] = [path for path in folder.iterdir() if path.name in ("doubler.mar", "doubler.tar.gz", "doubler")]
    return path


@pytest.mark.parametrize("form", ["default", "zip-store", "tgz", "no-archive"])
def test_an_archive_of_any_format_keeps_its_members_and_manifest(tmp_path, form):
    sources, target = tmp_path / "sources", tmp_path / "out"
    sources.mkdir()
    target.mkdir()
    (sources / "handler.py").write_bytes(HANDLER)
    (sources / "factor.npy").write_bytes(weights())
    (sources / "names.json").write_text("{}")
    words = ("--handler", str(sources / "handler.py"), "--serialized-file", str(sources / "factor.npy"))
    stock_archive = read_stock(archived(target, form, *words, "--extra-files", str(sources / "names.json")))
    assert stock_archive.members == {path.name: path.read_bytes() for path in sources.iterdir()}
    path, _ = wrap(stock_archive, tmp_path / "store")
    assert contents(path)[1] == stock_archive.document
    assert stock_archive.document["archiverVersion"] == "0.12.0"


@pytest.mark.parametrize("script", [FAST, stock()], ids=["our worker", "TorchServe's"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_in_torchserves_own_handler_answers_on_both_workers(tmp_path, script):
    model = tmp_path / "twice.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Twice()).save(str(model))
    (tmp_path / "out").mkdir()
    words = ("--handler", "base_handler", "--serialized-file", str(model))
    path, _ = wrap(read_stock(archived(tmp_path / "out", "default", *words), "body"), tmp_path / "store")
    folder, home = tmp_path / "model", tmp_path / "home"
    unpack(path, folder)
    home.mkdir()
    path_of_stock = str(folder) if script == stock() else ""
    with started(script, home, PYTHONPATH=path_of_stock, TS_DECODE_INPUT_REQUEST="true") as worker:
        loaded = worker.ask(load_frame(folder, "base_handler", envelope="body"))
        assert struct.unpack("!i", loaded[:4]) == (200,), worker.output
        answer = worker.ask(batch_frame(plain("r1", json.dumps([1, 2]).encode(), "application/json")))
        assert b"Prediction success" in answer, worker.output
        assert json.dumps([2, 4], indent=2).encode() in answer


def test_a_converted_model_is_exported_and_answers_as_it_did(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "row").write_bytes(b"[[1.0, 2.0, 3.0]]")
    stock_archive = read_stock(write_zip(tmp_path / "net.mar", eager("base_handler")))
    converted = convert(stock_archive, tmp_path / "models", tmp_path / "row")
    with pytest.raises(OnnxserveError, match="--unproven"):
        export_model(converted.folder, tmp_path / "store", STEPS, lambda _: None)
    options = ExportOptions(unproven=True)
    archive = export_model(converted.folder, tmp_path / "store", STEPS, lambda _: None, options=options).archive
    assert archive.name == f"net-{converted.version}.mar"
    unpack(tmp_path / "store" / archive.name, tmp_path / "open")
    [answers] = outputs(tmp_path / "open", [[[[1.0, 2.0, 3.0]], [[0.0, 0.0, 1.0]]]])
    assert answers.tolist() == [[[12.0, 12.0]], [[2.0, 2.0]]]
