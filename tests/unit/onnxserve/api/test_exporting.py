"""Exports from a program: of a module in memory, and of a model's folder."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import onnxserve
from onnxserve.api.exporting import write_file
from onnxserve.errors import ArchiveError, CheckFailed, DefinitionError, OnnxserveError
from tests.helpers.artefacts import write_linear

POINTS = np.random.default_rng(7).uniform(-2, 2, (400, 2)).astype(np.float32)
LABELS = ("left", "right")
FP32 = {"variants": ["fp32"]}


class Side(nn.Module):
    """Says on which side of a line a point lies; `features` is float32 (batch, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.layer.weight.data = torch.tensor([[-1.0, 0.5], [1.0, -0.5]])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(features)
        return logits


def labelled() -> Iterator[tuple[Any, str]]:
    """Rows as numpy has them, and their labels."""
    return ((point, LABELS[int(point[0] > point[1] / 2)]) for point in POINTS)


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(1))  # noqa: NPY002 - what a program may use


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("store")
    return folder


@pytest.fixture(scope="module")
def module() -> Side:
    return Side().train()


@pytest.fixture(scope="module")
def side(module, store) -> onnxserve.Archive:
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002 - as `draws`
    expected = draws()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    lines: list[str] = []
    archive = onnxserve.export(
        module,
        labelled(),
        input={"kind": "table", "columns": ["x", "y"]},
        output={"task": "classification", "labels": LABELS},
        budget=0.05,
        quantise=FP32,
        store=store,
        say=lines.append,
    )
    assert any("certify" in line for line in lines)
    assert draws() == expected  # the export left the program's generators as they were
    return archive


def test_a_module_in_memory_becomes_a_proven_archive(side, store):
    assert side.path == store / "side-1.0.0.mar"
    assert (side.evidence.proof, side.evidence.variant, side.evidence.budget) == ("certified", "fp32", 0.05)
    assert side.evidence["data"]["rows"]["certify"] > 100
    assert side.verify([]).golden_rows > 0
    assert "side" in side.report.html


def test_the_archive_answers_as_the_module_which_stays_as_it_was(side, module):
    with torch.no_grad():
        expected = module(torch.from_numpy(POINTS)).argmax(1)
    assert [prediction["label"] for prediction in side.predict(POINTS)] == [LABELS[index] for index in expected]
    assert module.training
    assert module.layer.weight.requires_grad


def test_its_proof_is_repeated_on_this_machine(side):
    repeated = onnxserve.prove(side)
    assert (repeated.proof, repeated.refusal) == ("certified", "")
    assert repeated.rows == side.evidence["data"]["rows"]["certify"]
    assert repeated.paired.bound <= repeated.budget == 0.05


def test_another_model_does_not_take_its_place(side, store):
    other = Side()
    other.layer.weight.data *= 2
    given: dict[str, Any] = {
        "input": {"kind": "table", "columns": ["x", "y"]},
        "output": {"labels": LABELS},
        "quantise": FP32,
    }
    with pytest.raises(ArchiveError, match=r"side 1\.0\.0 exists"):
        onnxserve.export(other, labelled(), store=store, **given)
    assert onnxserve.Archive(store / "side-1.0.0.mar").sha256 == side.sha256


def test_a_folder_is_exported_with_fields_and_rows_that_take_the_place_of_its_own(definition, tmp_path):
    rows = [([x / 100, 0.0], ["outside", "inside"][x < 100]) for x in range(200)]
    archive = onnxserve.export(definition, rows, version="3.0.0", quantise=FP32, store=tmp_path, draft=True)
    assert (archive.path.name, archive.version) == ("circle-3.0.0.mar", "3.0.0")
    assert sum(archive.evidence["data"]["rows"].values()) == 200
    assert archive.evidence["summary"]["draft"]
    assert archive.signature["input"]["columns"] == ["x", "y"]


def test_a_file_is_imported_into_a_folder_and_exported_with_rows_from_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a,b,c,label\n1,2,3,low\n3,1,2,high\n")
    archive = onnxserve.export(
        write_linear(tmp_path / "net.onnx"),
        "rows.csv",
        input={"columns": ["a", "b", "c"]},
        output={"labels": ["low", "high"]},
        draft=True,
    )
    assert archive.path == Path("model_store/net-1.0.0.mar").absolute()
    assert sum(archive.evidence["data"]["rows"].values()) == 2
    assert archive.evidence["data"]["location"] == "../../rows.csv"
    assert (tmp_path / "models" / "net" / "model.toml").is_file()


def test_rows_that_prove_nothing_leave_no_archive(module, tmp_path):
    turned = [(point, LABELS[int(point[0] <= point[1] / 2)]) for point in POINTS]
    given: dict[str, Any] = {"input": {"kind": "table", "columns": ["x", "y"]}, "output": {"labels": LABELS}}
    with pytest.raises(OnnxserveError) as caught:
        onnxserve.export(module, [], quantise=FP32, store=tmp_path, **given)
    assert "unproven" in str(caught.value)
    with pytest.raises(CheckFailed):
        onnxserve.export(module, turned[:20], quantise={"variants": ["int8"]}, store=tmp_path, **given)
    assert not list(tmp_path.glob("*.mar"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([([1.0, 2.0], "left"), 3], "a row is int, no pair of input and label"),
        (5, "it gave int, no rows"),
        ([([1.0, object()], "left")], "object isn't a value that a request can hold"),
    ],
)
def test_rows_that_are_none_are_refused(module, rows, message, tmp_path):
    given: dict[str, Any] = {"input": {"kind": "table", "columns": ["x", "y"]}, "output": {"labels": LABELS}}
    with pytest.raises(OnnxserveError, match=message):
        onnxserve.export(module, rows, store=tmp_path, **given)


def test_a_text_model_needs_its_tokenizer(tmp_path):
    given: dict[str, Any] = {"input": {"kind": "text", "max_tokens": 8}, "output": "raw"}
    with pytest.raises(OnnxserveError, match=r"tokenizer\.json: rows of kind text need this file"):
        onnxserve.export(Side(), [("a", None)], files={"golden.jsonl": b'{"input": "a"}'}, store=tmp_path, **given)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../other.json", b"{}", "doesn't lie beside the definition"),
        ("/other.json", b"{}", "doesn't lie beside the definition"),
        ("tokenizer.json", "missing.json", "can't be read: No such file"),
    ],
)
def test_files_lie_beside_the_definition_and_exist(name, content, message, tmp_path):
    folder = tmp_path / "definition"
    folder.mkdir()
    with pytest.raises(DefinitionError, match=message):
        write_file(folder, name, content)
    assert list(tmp_path.rglob("*.json")) == []


def test_files_are_for_models_in_memory(definition, tmp_path):
    with pytest.raises(DefinitionError, match=r"in memory only(.|\n)*tokenizer\.json"):
        onnxserve.export(definition, files={"tokenizer.json": b"{}"}, store=tmp_path)
