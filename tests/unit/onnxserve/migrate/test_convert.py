"""Model folders made of TorchServe archives, and why others can't be made."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from onnxserve.definition import read_definition
from onnxserve.errors import ArchiveError
from onnxserve.migrate import convert, read_stock
from onnxserve.migrate.handlers import labels
from tests.helpers.stock import MANIFEST, document, doubler_members, write_zip

NETWORK = b"""import torch
from blocks import scale


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x):
        return scale(self.layer(x))
"""
NAMES = {"0": ["n01", "cat"], "1": ["n02", "dog"]}


def eager(handler: str, **more: bytes) -> dict[str, bytes]:
    stream = io.BytesIO()
    torch.save({"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}, stream)
    manifest = document("net", handler, serializedFile="net.pth", modelFile="network.py")
    files = {"network.py": NETWORK, "blocks.py": b"def scale(x):\n    return 2 * x\n", "net.pth": stream.getvalue()}
    return {**files, **more, MANIFEST: json.dumps(manifest).encode()}


def onnx(handler: str, **more: bytes) -> dict[str, bytes]:
    manifest = document("net", handler, serializedFile="net.onnx", modelVersion="2.9")
    return {"net.onnx": b"a graph", **more, MANIFEST: json.dumps(manifest).encode()}


def converted(tmp_path: Path, members: dict[str, bytes], row: bytes | None = None) -> tuple[Path, dict[str, Any]]:
    example = None
    if row is not None:
        example = tmp_path / "row"
        example.write_bytes(row)
    folder = convert(read_stock(write_zip(tmp_path / "net.mar", members)), tmp_path / "models", example).folder
    return folder, tomllib.loads((folder / "model.toml").read_text())


def test_an_eager_model_becomes_a_function_that_loads_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    folder, definition = converted(tmp_path, eager("base_handler"), b"[[1.0, 2.0, 3.0]]")
    assert (definition["name"], definition["version"], definition["source"]) == ("net", "1.1", "model.py:load")
    spec = importlib.util.spec_from_file_location("converted_model", folder / "model.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.load()(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[12.0, 12.0]]


@pytest.mark.parametrize(
    ("row", "shape", "dtype"),
    [(b"[1.5, 2]", [2], "float32"), (b"[[1, 2, 3], [4, 5, 6]]", [2, 3], "int64"), (b"3", [], "int64")],
)
def test_a_tensor_has_the_shape_and_type_that_torch_gives_the_example(tmp_path, row, shape, dtype):
    folder, definition = converted(tmp_path, onnx("base_handler"), row)
    assert definition["input"]["tensors"] == [{"name": "input", "dtype": dtype, "shape": shape}]
    assert definition["output"] == {"task": "raw"}
    assert (definition["source"], definition["version"]) == ("model.onnx", "2.10")
    assert (folder / "model.onnx").read_bytes() == b"a graph"
    assert json.loads((folder / "golden.jsonl").read_text()) == {"input": json.loads(row)}
    assert torch.as_tensor(json.loads(row)).shape == tuple(shape)


@pytest.mark.parametrize(
    "row",
    [
        b'{"data": [1.5, 2]}',
        b'{"body": [1.5, 2]}',
        b'{"instances": [[1.5, 2], [3, 4]]}',
        b'{"instances": [{"data": [1.5, 2]}]}',
    ],
)
def test_an_example_may_be_wrapped_as_clients_of_torchserve_wrap_it(tmp_path, row):
    folder, definition = converted(tmp_path, onnx("base_handler"), row)
    assert definition["input"]["tensors"] == [{"name": "input", "dtype": "float32", "shape": [2]}]
    assert json.loads((folder / "golden.jsonl").read_text()) == {"input": [1.5, 2]}


@pytest.mark.parametrize(
    "row", [b'{"a": [1]}', b'"text"', b"null", b"[]", b"[[1], [1, 2]]", b'[1, "a"]', b"[[1], 2]", b"true", b"{"]
)
def test_an_example_that_makes_no_tensor_is_refused_with_forms_that_do(tmp_path, row):
    with pytest.raises(ArchiveError, match="row") as caught:
        converted(tmp_path, onnx("base_handler"), row)
    assert "give one row as [0.5, 1.0]" in caught.value.what
    assert not (tmp_path / "models").exists()


def test_an_image_classifier_has_the_labels_of_its_names_and_torchvisions_preprocessing(tmp_path):
    members = eager("image_classifier", **{"index_to_name.json": json.dumps(NAMES).encode()})
    folder, definition = converted(tmp_path, members)
    assert definition["output"] == {"task": "classification", "activation": "softmax", "labels": ["cat", "dog"]}
    rows = definition["input"]
    assert (rows["kind"], rows["height"], rows["resize"], rows["shorter_side"]) == ("image", 224, "crop", 256)
    assert (rows["pixel_max"], rows["mean"], rows["std"]) == (1, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert read_definition(folder).handler == ""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"1": "b", "0": "a"}, ["a", "b"]),
        ({"object_type_names": ["a", "b"]}, ["a", "b"]),
        ({"0": "crane", "1": "dog", "2": ["n", "crane"]}, ["crane (0)", "dog", "crane (2)"]),
    ],
)
def test_labels_are_read_in_all_the_forms_that_torchserve_reads(tmp_path, names, expected):
    members = eager("image_classifier", **{"index_to_name.json": json.dumps(names).encode()})
    assert labels(read_stock(write_zip(tmp_path / "net.mar", members))) == expected


@pytest.mark.parametrize(
    ("members", "match"),
    [
        (doubler_members(), "doubler.py: what it does before and after the model is code of its own"),
        (eager("text_classifier"), "text_classifier: its module takes the words"),
        (eager("object_detector"), "object_detector: "),
        (eager("image_classifier"), "index_to_name.json is missing"),
        (eager("image_classifier", **{"index_to_name.json": b'{"1": "a"}'}), "the indices must be 0 to 0"),
        (eager("base_handler"), "a tensor's shape isn't in the archive"),
        ({**eager("image_classifier"), "network.py": b"class A: pass\nclass B: pass\n"}, "it must have one class"),
        ({**onnx("base_handler"), "net.onnx": b""}, "a tensor's shape"),
    ],
)
def test_what_can_not_be_converted_is_listed_by_name_and_nothing_is_written(tmp_path, members, match):
    with pytest.raises(ArchiveError, match=match):
        convert(read_stock(write_zip(tmp_path / "net.mar", members)), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_model_that_exists_is_not_overwritten(tmp_path):
    (tmp_path / "models" / "net").mkdir(parents=True)
    with pytest.raises(ArchiveError, match="exists"):
        converted(tmp_path, onnx("base_handler"), b"[1]")


def test_labels_outside_the_basic_plane_are_toml(tmp_path):
    names = {"0": "\U0001f642 naïve \x7f", "1": 'say "hi"'}
    _, definition = converted(tmp_path, eager("image_classifier", **{"index_to_name.json": json.dumps(names).encode()}))
    assert definition["output"]["labels"] == list(names.values())


def test_no_name_in_the_manifest_or_of_the_file_becomes_code(tmp_path):
    members = eager("base_handler")
    weights = 'w" / exit("ran") / "'
    members[weights] = members.pop("net.pth")
    members[MANIFEST] = members[MANIFEST].replace(b"net.pth", json.dumps(weights)[1:-1].encode())
    (tmp_path / "row").write_text("[1.0]")
    stock = read_stock(write_zip(tmp_path / 'a""" + exit("ran")\nb.mar', members))
    folder = convert(stock, tmp_path / "models", tmp_path / "row").folder
    tree = ast.parse((folder / "model.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "exit"]
    assert tomllib.loads((folder / "model.toml").read_text())["name"] == "net"


def test_a_model_file_that_no_module_can_be_named_after_is_refused(tmp_path):
    members = eager("base_handler")
    members["my-net.py"] = members.pop("network.py")
    members[MANIFEST] = members[MANIFEST].replace(b"network.py", b"my-net.py")
    with pytest.raises(ArchiveError, match=r"my-net\.py: its name isn't a valid name of a module"):
        converted(tmp_path, members, b"[1.0]")
