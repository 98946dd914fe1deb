"""What Infinity is started on: the archive's graph in a folder of Hugging Face, and requests of one text."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import parser

from benchmarks.infinity import infinity, infinity_fp32, rename_output, text_bodies, write_model
from benchmarks.prepare import Bench
from benchmarks.rivals import LABEL, servers

GRAPH = """<ir_version: 8, opset_import: ["" : 17]>
small (int64[batch] ids) => (float[batch] output_0) {
    output_0 = Cast <to = 1> (ids)
    unused = Neg (output_0)
}"""


@pytest.fixture
def unpacked(tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    onnx.save(parser.parse_model(GRAPH), folder / "model.onnx")
    (folder / "signature.json").write_text(json.dumps({"output": {"labels": ["no", "yes", "perhaps"]}}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_the_folder_has_the_graph_with_the_output_that_optimum_reads(unpacked, tmp_path):
    write_model(unpacked, "model.onnx", tmp_path / "made")
    model = tmp_path / "made" / "model.onnx"
    onnx.checker.check_model(onnx.load(model), full_check=True)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits"]
    assert session.run(None, {"ids": np.array([3, 5])})[0].tolist() == [3.0, 5.0]


def test_the_folder_has_the_labels_in_the_order_of_the_archive(unpacked, tmp_path):
    write_model(unpacked, "model.onnx", tmp_path / "made")
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes", "2": "perhaps"}
    assert (tmp_path / "made" / "tokenizer.json").read_text() == "{}"


def test_a_graph_with_several_outputs_is_no_classifier():
    model = parser.parse_model(GRAPH.replace("output_0) {", "output_0, float[batch] unused) {"))
    with pytest.raises(ValueError, match="too many values"):
        rename_output(model.graph, "logits")


def test_a_request_has_one_text():
    bench = Bench("sentiment", Path(), Path(), ["good", 'bad "one"'], ["a", "b"])
    assert [json.loads(body) for body in text_bodies(bench)] == [{"input": ["good"]}, {"input": ['bad "one"']}]


def test_it_takes_part_for_texts_alone_once_with_each_graph():
    chosen = [server for server in servers("sentiment") if server.environment == "infinity"]
    assert [(server.name, server.start) for server in chosen] == [
        ("infinity", infinity),
        ("infinity-fp32", infinity_fp32),
    ]
    assert {(server.path, server.pattern) for server in chosen} == {("/classify", LABEL)}
    assert not {server.environment for model in ("segment", "digits") for server in servers(model)} & {"infinity"}
