"""A graph in a folder of transformers, as Optimum and repositories of the hub leave it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from onnxserve_export.assets import read_assets
from onnxserve_export.importing import ImportOptions, import_model
from tests.helpers.artefacts import write_pretrained
from tests.helpers.tokenizer_files import bert_word_tokenizer

BERT = {
    "architectures": ["BertForSequenceClassification"],
    "max_position_embeddings": 32,
    "id2label": {"0": "bad", "1": "good"},
}


def graph(output: str = "logits") -> onnx.ModelProto:
    """Two scores of texts: the sum of the ids and that of the mask."""
    shape = ["batch_size", "sequence_length"]
    ends = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    nodes = [
        helper.make_node("Concat", ["ids", "mask"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], [output], to=TensorProto.FLOAT),
    ]
    sums = [
        helper.make_node("ReduceSum", [end.name, "axes"], [name], keepdims=1)
        for end, name in zip(ends, ("ids", "mask"), strict=True)
    ]
    scores = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch_size", 2])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    inner = helper.make_graph([*sums, *nodes], "g", ends, [scores], [axes])
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def folder_of(place: Path, file: str = "model.onnx", output: str = "logits", **files: Any) -> Path:
    folder = write_pretrained(place, BERT, tokenizer_config={"model_max_length": 16}, **files)
    bert_word_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / file).parent.mkdir(exist_ok=True)
    onnx.save(graph(output), folder / file)
    return folder


def written(source: Path, place: Path, **options: Any) -> dict[str, Any]:
    imported = import_model(str(source), "net", place, ImportOptions(**options))
    if imported.definition.input.kind == "text":
        assert "tokenizer.json" in read_assets(imported.definition, source, {})
    return tomllib.loads((imported.folder / "model.toml").read_text())


@pytest.mark.parametrize("file", ["model.onnx", "onnx/model.onnx"])
@pytest.mark.parametrize("is_named", [True, False])
def test_a_graph_has_the_labels_and_limits_of_the_folder_that_describes_it(tmp_path, file, is_named):
    folder = folder_of(tmp_path / "onnx", file)  # the folder's own name says nothing
    onnx.save(graph(), (folder / file).with_name("model_quantized.onnx"))
    definition = written(folder / file if is_named else folder, tmp_path / "models")
    assert definition["source"].endswith(file)
    assert definition["input"] == {"kind": "text", "max_tokens": 16}
    assert definition["output"] == {"task": "classification", "activation": "softmax", "labels": ["bad", "good"]}


def test_a_graph_without_the_outputs_of_its_folders_class_is_read_alone(tmp_path):
    folder = folder_of(tmp_path / "bert", output="scores")
    definition = written(folder, tmp_path / "models", fields=("input.max_tokens=16",))
    assert definition["output"] == {"task": "raw"}


def test_what_the_user_says_of_rows_and_predictions_counts(tmp_path):
    folder = folder_of(tmp_path / "bert")
    assert written(folder, tmp_path / "a", task="embedding")["output"] == {"task": "embedding"}
    limits = ("input.limits.sequence_length=9",)
    assert written(folder, tmp_path / "b", kind="tensors", fields=limits)["input"]["kind"] == "tensors"


def test_a_folder_with_weights_is_served_by_its_module(tmp_path):
    folder = folder_of(tmp_path / "bert")
    (folder / "model.safetensors").write_bytes(b"")
    assert not written(folder, tmp_path / "models")["source"].endswith(".onnx")
