"""Ready ONNX graphs: old opsets, fixed batches, outputs that no tensor holds, inputs of other names and types."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxserve.errors import DefinitionError
from onnxserve_export import graph_file
from onnxserve_export.graph_process import session
from onnxserve_export.sources import onnx_file, open_source
from onnxserve_export.sources.onnx_file import OnnxSource

from .test_torch_module import check_graph

WEIGHT = np.arange(6, dtype=np.float32).reshape(3, 2)


def rows(count: int, dtype: str = "float32") -> dict[str, np.ndarray]:
    return {"features": np.random.default_rng(count).normal(size=(count, 3)).astype(dtype)}


def value(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def linear(batch: int | str = "n", opset: int = 17, kind: int = TensorProto.FLOAT, name: str = "x") -> onnx.ModelProto:
    """Two outputs: y = x w, and the largest of each row."""
    nodes = [
        helper.make_node("MatMul", [name, "w"], ["y"]),
        helper.make_node("ReduceMax", ["y"], ["top"], axes=[1], keepdims=0),
    ]
    weight = numpy_helper.from_array(WEIGHT.astype(helper.tensor_dtype_to_np_dtype(kind)), "w")
    outputs = [value("y", kind, [batch, 2]), value("top", kind, [batch])]
    graph = helper.make_graph(nodes, "g", [value(name, kind, [batch, 3])], outputs, [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_a_file_of_an_old_opset_is_served_as_it_answers_under_onnxruntime(tmp_path):
    onnx.save(linear(opset=9), tmp_path / "model.onnx")
    model = open_source("model.onnx", tmp_path, {})
    assert (model.name, model.summary) == ("onnxruntime", "model.onnx, opset 9, 2 nodes")
    batch = rows(4)
    np.testing.assert_allclose(model.run(batch)["y"], batch["features"] @ WEIGHT, rtol=1e-5)
    proto = check_graph(model, rows(3), {}, [rows(1), rows(5)], tmp_path)
    assert proto.opset_import[0].version == 17
    assert [entry.name for entry in proto.graph.input] == ["features"]


def test_outputs_are_chosen_and_ordered_by_name(tmp_path):
    model = OnnxSource(linear(), "g", ["top"])
    check_graph(model, rows(3), {}, [rows(2)], tmp_path)
    assert list(model.run(rows(2))) == ["top"]
    with pytest.raises(DefinitionError, match=r"no tensor of numbers \['z'\]"):
        OnnxSource(linear(), "g", ["z"])


def test_a_fixed_batch_is_freed_where_the_nodes_allow_it(tmp_path):
    check_graph(OnnxSource(linear(batch=1), "g"), rows(3), {}, [rows(1), rows(6)], tmp_path)


def test_a_batch_that_a_node_bakes_in_is_refused_with_the_remedy():
    proto = linear(batch=1)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1, 3]), "shape"))
    proto.graph.node.insert(0, helper.make_node("Reshape", ["x", "shape"], ["flat"]))
    proto.graph.node[1].input[0] = "flat"
    with pytest.raises(DefinitionError, match=r"can't run the graph on features \(2, 3\)") as caught:
        OnnxSource(proto, "g").run(rows(2))
    assert "free batch" in caught.value.fix


def test_an_input_of_another_type_is_cast_in_the_graph(tmp_path):
    model = OnnxSource(linear(kind=TensorProto.DOUBLE), "g")
    proto = check_graph(model, rows(3), {}, [rows(2)], tmp_path)
    assert proto.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_a_tensor_may_be_called_as_a_value_inside_the_graph_or_an_output_is(kind, tmp_path):
    for inner, outputs in (("y", ["y_output", "top"]), ("w", ["y", "top"])):
        batch = {inner: rows(3)["features"]}
        model = OnnxSource(linear(kind=kind), "g")
        assert list(model.run(batch)) == outputs
        check_graph(model, batch, {}, [batch], tmp_path)


def test_texts_sequences_and_maps_leave_and_scores_in_a_map_become_a_tensor(tmp_path):
    proto = linear()
    proto.graph.node.extend(
        [
            helper.make_node(
                "LabelEncoder", ["top"], ["label"], domain="ai.onnx.ml", keys_floats=[1.0], values_strings=["a"]
            ),
            helper.make_node("ZipMap", ["y"], ["scores"], domain="ai.onnx.ml", classlabels_strings=["a", "b"]),
        ]
    )
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    mapping = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    del proto.graph.output[:]
    proto.graph.output.extend(
        [
            value("label", TensorProto.STRING, ["n"]),
            helper.make_value_info("scores", helper.make_sequence_type_proto(mapping)),
        ]
    )
    model = OnnxSource(proto, "g")
    assert list(model.run(rows(2))) == ["scores"]
    proto = check_graph(model, rows(3), {}, [rows(2)], tmp_path)
    assert {node.op_type for node in proto.graph.node} == {"MatMul"}


def test_weights_that_are_listed_as_inputs_need_not_be_given(tmp_path):
    proto = linear()
    proto.ir_version = 3
    proto.graph.input.append(value("w", TensorProto.FLOAT, [3, 2]))
    model = OnnxSource(proto, "g")
    assert [spec.name for spec in model.inputs] == ["x"]
    graph = check_graph(model, rows(3), {}, [rows(2)], tmp_path)
    onnx.checker.check_model(graph)


def test_weights_that_are_constant_nodes_become_initialisers_where_quantisers_look_for_them(tmp_path):
    proto = linear()
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=proto.graph.initializer[0]))
    del proto.graph.initializer[:]
    lifted = check_graph(OnnxSource(proto, "g"), rows(3), {}, [rows(2)], tmp_path)
    assert [node.op_type for node in lifted.graph.node] == ["MatMul", "ReduceMax"]
    assert [tensor.name for tensor in lifted.graph.initializer] == ["w"]


def test_weights_in_files_beside_the_graph_are_read(tmp_path):
    onnx.save(linear(), tmp_path / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    model = open_source("model.onnx", tmp_path, {})
    np.testing.assert_allclose(model.run(rows(2))["y"], rows(2)["features"] @ WEIGHT, rtol=1e-5)
    (tmp_path / "model.data").unlink()
    with pytest.raises(DefinitionError, match=r"model\.onnx can't be read as ONNX"):
        open_source("model.onnx", tmp_path, {})


def test_a_graph_that_is_larger_than_a_message_may_be_is_opened_as_a_file(tmp_path, monkeypatch):
    weight = np.random.default_rng(0).normal(size=(3, 512)).astype(np.float32)
    proto = linear()
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    proto.graph.output[0].CopyFrom(value("y", TensorProto.FLOAT, ["n", 512]))
    opened: list[Any] = []

    def remember(graph: str | bytes, threads: int) -> Any:
        opened.append(graph)
        return session(graph, threads)

    monkeypatch.setattr(graph_file, "LIMIT", 4096)
    monkeypatch.setattr(onnx_file, "session", remember)
    source = OnnxSource(proto, "g")
    source.runner(2)(rows(2))
    [path, again] = opened
    assert path == again
    assert Path(path).is_file()
    np.testing.assert_allclose(source.run(rows(4))["y"], rows(4)["features"] @ weight, rtol=1e-5)
    graph, _ = source.graph(rows(3), {})
    assert graph_file.weight_bytes(graph) == weight.nbytes


def test_an_input_without_axes_is_one_number_of_a_row_that_runs_alone():
    ends = [value("x", TensorProto.FLOAT, ["n", 2]), value("t", TensorProto.FLOAT, [])]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "t"], ["y"])], "g", ends, [value("y", TensorProto.FLOAT, ["n", 2])]
    )
    source = OnnxSource(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "g")
    row = {"x": np.array([[1, 2]], np.float32), "t": np.array([3], np.float32)}
    assert source.run(row)["y"].tolist() == [[3, 6]]


def test_a_damaged_file_and_an_unknown_operator_are_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DefinitionError, match=r"model\.onnx can't be read as ONNX"):
        open_source("model.onnx", tmp_path, {})
    proto = linear()
    proto.graph.node[0].op_type = "Strange"
    with pytest.raises(DefinitionError, match=r"ONNX Runtime .* can't load the graph"):
        OnnxSource(proto, "g")


@pytest.mark.parametrize(
    ("change", "what", "fix"),
    [
        (lambda graph: graph.Clear(), "the graph has no outputs", "give the whole file"),
        (lambda graph: graph.ClearField("input"), "the graph has no inputs", "with its inputs"),
    ],
)
def test_a_graph_that_answers_no_rows_is_refused_with_its_place(tmp_path, change, what, fix):
    proto = linear()
    change(proto.graph)
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(DefinitionError, match=what) as caught:
        open_source("model.onnx", tmp_path, {})
    assert caught.value.where == str(tmp_path / "model.onnx")
    assert fix in caught.value.fix


def test_a_graph_of_texts_alone_names_its_outputs_and_one_of_bfloat16_what_to_export():
    texts = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.STRING, ["n", 1])],
        [value("y", TensorProto.STRING, ["n", 1])],
    )
    with pytest.raises(DefinitionError, match="none of the graph's outputs y is a tensor of numbers"):
        OnnxSource(helper.make_model(texts), "g")
    halves = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.BFLOAT16, ["n", 1])],
        [value("y", TensorProto.BFLOAT16, ["n", 1])],
    )
    with pytest.raises(DefinitionError, match="can't load the graph") as caught:
        OnnxSource(helper.make_model(halves, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "g")
    assert "bfloat16" in caught.value.fix
