"""Graphs with large weights: a second file, whose name has its digest, that travels in the archive."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxserve.archive import make_identity, seal_archive, unpack
from onnxserve.archive.offline import answers
from onnxserve.archive.read import contents
from onnxserve.errors import ArchiveError
from onnxserve.scaffold import new_model
from onnxserve_export import graph_file
from onnxserve_export.export import export_model
from onnxserve_export.graph_file import graph_bytes, save_graph, weight_files
from onnxserve_export.run import run_graph
from onnxserve_export.steps import STEPS

WEIGHT = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)


def linear(weight: np.ndarray = WEIGHT) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, ["n", 64])],
        [value("y", TensorProto.FLOAT, ["n", 32])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.ones(32, np.float32), "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_weights_beyond_the_limit_get_a_file_that_is_named_after_their_digest(tmp_path):
    save_graph(linear(), tmp_path / "whole.onnx")
    assert weight_files(tmp_path / "whole.onnx") == []
    save_graph(linear(), tmp_path / "graph.onnx", limit=4096)
    [weights] = weight_files(tmp_path / "graph.onnx")
    assert weights.read_bytes() == WEIGHT.tobytes()  # the bias is small, and stays
    assert graph_bytes(tmp_path / "graph.onnx") > WEIGHT.nbytes > (tmp_path / "graph.onnx").stat().st_size
    batch = {"x": np.ones((3, 64), np.float32)}
    [outputs] = run_graph(tmp_path / "graph.onnx", [batch])
    np.testing.assert_allclose(outputs["y"], batch["x"] @ WEIGHT + 1, rtol=1e-4, atol=1e-5)
    save_graph(linear(WEIGHT + 1), tmp_path / "other.onnx", limit=4096)
    assert weight_files(tmp_path / "other.onnx") != [weights]


def test_an_export_with_weights_in_a_file_of_their_own_is_proven_and_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_file, "LIMIT", 2000)
    folder = new_model("table", "circle", tmp_path / "models")
    state = export_model(folder, tmp_path / "store", STEPS, lambda _: None)
    names = [name for name in contents(state.archive)[0] if name.startswith("weights-")]
    assert len(names) == 1
    with pytest.raises(ArchiveError, match="weights in a file of their own can't be sealed"):
        seal_archive(state.archive, make_identity(tmp_path / "age.txt"))
    unpack(state.archive, tmp_path / "open")
    [answer] = answers(tmp_path / "open", [b'{"instances": [[0, 0.1]]}'])
    assert answer["body"]["predictions"][0]["label"] == "inside"
    content = bytearray((tmp_path / "open" / names[0]).read_bytes())
    content[0] ^= 1
    (tmp_path / "open" / names[0]).write_bytes(content)
    with pytest.raises(ArchiveError, match="the handler failed"):
        answers(tmp_path / "open", [b'{"instances": [[0, 0.1]]}'])
