"""NNCF fits a graph to 8 bits; what it leaves is a float graph, whose pairs are gone, and nobody is told."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxserve_export.batches import Batches, write_batches
from onnxserve_export.fitting import fit_graph, has_attention, quantise_fitted, remove_pairs
from onnxserve_export.fusion import Fusion, measure_fusion
from onnxserve_export.int8 import types_for

# Prints that it got to the end; a socket that is opened to another machine ends it before.
FIT = """
import socket, sys
def refuse(*_, **__): print("a socket was opened", flush=True); import os; os._exit(3)
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = socket.getaddrinfo = refuse
from pathlib import Path
from onnxserve_export.batches import Batches
from onnxserve_export.fitting import fit_graph
fit_graph(Path(sys.argv[1]), Path(sys.argv[2]), Batches(Path(sys.argv[3]), 0, 4), [])
from nncf.telemetry import telemetry
telemetry.send_event("category", "action", "label")
print(type(telemetry).__name__, "pytest" in sys.modules)
"""


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def tensor(name: str, array: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(array.astype(np.float32), name)


@pytest.fixture
def products(tmp_path: Path) -> Path:
    """Two products with biases, one of whose channels is a hundred times larger than the others."""
    draws = np.random.default_rng(0)
    wide = draws.normal(size=(8, 16))
    wide[:, 3] *= 100
    weights = [
        tensor("wide", wide), tensor("b1", draws.normal(size=16)),
        tensor("narrow", draws.normal(size=(16, 4))), tensor("b2", draws.normal(size=4)),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Gemm", ["x", "wide", "b1"], ["sums"], name="first"),
        helper.make_node("Relu", ["sums"], ["positive"], name="relu"),
        helper.make_node("Gemm", ["positive", "narrow", "b2"], ["y"], name="second"),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", "batch", 8)], [value("y", "batch", 4)], weights)
    path = tmp_path / "products.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.fixture
def calibrate(tmp_path: Path) -> Batches:
    draws = np.random.default_rng(1)
    return write_batches(({"x": draws.normal(size=(16, 8)).astype(np.float32)} for _ in range(4)), tmp_path / "x.npz")


def run(path: Path, batches: Batches) -> np.ndarray:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, batch)[0] for batch in batches])


def test_a_fitted_graph_is_in_float_has_the_same_nodes_and_answers_nearly_the_same(products, calibrate, tmp_path):
    fitted = tmp_path / "fitted.onnx"
    fit_graph(products, fitted, calibrate, [])
    before, after = onnx.load(products).graph, onnx.load(fitted).graph
    assert [(node.name, node.op_type) for node in after.node] == [(node.name, node.op_type) for node in before.node]
    assert {tensor.data_type for tensor in after.initializer} == {TensorProto.FLOAT}
    expected, actual = run(products, calibrate), run(fitted, calibrate)
    assert 0 < np.abs(actual - expected).max() < 0.05 * expected.std()


def test_the_same_graph_and_rows_give_the_same_bytes(products, calibrate, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        fit_graph(products, tmp_path / name, calibrate, [])
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_nodes_that_stay_in_float_keep_their_bias(products, calibrate, tmp_path):
    fitted = tmp_path / "fitted.onnx"
    fit_graph(products, fitted, calibrate, ["first", "second"])
    np.testing.assert_array_equal(run(fitted, calibrate), run(products, calibrate))


@pytest.mark.parametrize("move", ["Transpose", "Identity"])
def test_a_product_of_what_other_nodes_make_of_a_weight_stays_in_float_and_keeps_its_bias(move, tmp_path):
    draws = np.random.default_rng(3)
    wide = draws.normal(size=(8, 8))
    wide[:, 3] *= 30
    nodes = [
        helper.make_node(move, ["wide"], ["moved"], name="move"),
        helper.make_node("MatMul", ["x", "moved"], ["sums"], name="product"),
        helper.make_node("Add", ["sums", "bias"], ["biased"], name="add"),
        helper.make_node("MatMul", ["biased", "narrow"], ["y"], name="quantised"),
    ]
    weights = [tensor("wide", wide), tensor("bias", draws.normal(size=8)), tensor("narrow", draws.normal(size=(8, 2)))]
    graph = helper.make_graph(nodes, "g", [value("x", "batch", 8)], [value("y", "batch", 2)], weights)
    source, target = tmp_path / "source.onnx", tmp_path / "int8.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), source)
    rows = write_batches([{"x": draws.normal(size=(16, 8)).astype(np.float32)}] * 2, tmp_path / "rows.npz")
    serve = SimpleNamespace(provider="auto")
    state: Any = SimpleNamespace(groups=SimpleNamespace(calibrate=rows), definition=SimpleNamespace(serve=serve))
    note = quantise_fitted(state, source, target, ["quantised"], types_for(["avx512_vnni"]))
    assert note.endswith("fitted by NNCF")
    assert measure_fusion(target) == Fusion(1, 1)
    [bias] = [weight for weight in onnx.load(target).graph.initializer if weight.name == "bias"]
    np.testing.assert_array_equal(numpy_helper.to_array(bias), numpy_helper.to_array(weights[1]))


def test_operators_that_are_never_in_8_bits_keep_their_bias(tmp_path):
    draws = np.random.default_rng(2)
    weights = [tensor("weight", draws.normal(size=(2, 3, 3, 3))), tensor("bias", draws.normal(size=3))]
    node = helper.make_node("ConvTranspose", ["image", "weight", "bias"], ["y"], name="up")
    ends = [value("image", "batch", 2, 4, 4)], [value("y", "batch", 3, 6, 6)]
    graph = helper.make_graph([node], "g", *ends, weights)
    source, fitted = tmp_path / "up.onnx", tmp_path / "fitted.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), source)
    images = write_batches([{"image": draws.normal(size=(8, 2, 4, 4)).astype(np.float32)}] * 2, tmp_path / "i.npz")
    fit_graph(source, fitted, images, [])
    np.testing.assert_array_equal(run(fitted, images), run(source, images))


def test_nobody_is_told_that_a_graph_was_quantised(products, calibrate, tmp_path):
    arguments = [str(products), str(tmp_path / "fitted.onnx"), str(calibrate.path)]
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    completed = subprocess.run(
        [sys.executable, "-c", FIT, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    # Beside pytest NNCF would send nothing anyway; its own sender is a class called NNCFTelemetry.
    assert completed.stdout == "MagicMock False\n", completed.stderr
    assert (tmp_path / "fitted.onnx").is_file()
    assert list(home.iterdir()) == [], "the number by which Intel counts users"


def test_pairs_go_and_what_they_read_stays():
    ranges = [
        tensor("scale", np.array(0.1)),
        numpy_helper.from_array(np.array(3, np.uint8), "zero"),
        tensor("w", np.eye(2)),
    ]
    pair = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
    ]
    nodes = [*pair, helper.make_node("MatMul", ["d", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [value("x", 1, 2)], [value("y", 1, 2)], ranges)
    remove_pairs(graph, own=set())
    assert [(node.op_type, list(node.input)) for node in graph.node] == [("MatMul", ["x", "w"])]
    assert [weight.name for weight in graph.initializer] == ["w"]


def test_pairs_of_the_graph_itself_stay_and_so_do_weights_that_only_an_inner_graph_reads():
    names = ["scale", "own_scale", "inner"]
    ranges = [tensor(name, np.array(0.1)) for name in names]
    branch = helper.make_graph([helper.make_node("Identity", ["inner"], ["z"])], "b", [], [value("z")])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "own_scale"], ["own_q"]),
        helper.make_node("DequantizeLinear", ["own_q", "own_scale"], ["own_d"]),
        helper.make_node("QuantizeLinear", ["own_d", "scale"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["d"]),
        helper.make_node("If", ["d"], ["y"], then_branch=branch, else_branch=branch),
    ]
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], ranges)
    remove_pairs(graph, own={"own_q", "own_d", "y"})
    assert [(node.op_type, node.input[0]) for node in graph.node] == [
        ("QuantizeLinear", "x"), ("DequantizeLinear", "own_q"), ("If", "own_d"),
    ]  # fmt: skip
    assert [weight.name for weight in graph.initializer] == ["own_scale", "inner"]


def test_a_graph_that_nncf_cannot_take_is_quantised_without_being_fitted_and_the_note_says_why(
    products, calibrate, tmp_path
):
    proto = onnx.load(products)
    proto.graph.node[-1].output[0] = "sums of narrow"
    proto.graph.node.append(helper.make_node("Cast", ["sums of narrow"], ["y"], name="to itself", to=TensorProto.FLOAT))
    onnx.save(proto, products)
    serve = SimpleNamespace(provider="auto")
    state: Any = SimpleNamespace(groups=SimpleNamespace(calibrate=calibrate), definition=SimpleNamespace(serve=serve))
    target = tmp_path / "int8.onnx"
    note = quantise_fitted(state, products, target, ["first", "second"], types_for(["avx512_vnni"]))
    assert "not fitted: NNCF fails with KeyError" in note
    assert measure_fusion(target) == Fusion(2, 2)


def test_an_export_without_nncf_names_the_package_before_it_begins():
    code = "import sys; sys.modules['nncf'] = None; import onnxserve_export.steps"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert completed.stderr.splitlines()[-1] == "ModuleNotFoundError: nncf is not installed"


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        (["MatMul", "Softmax", "MatMul"], True),
        (["MatMul", "Softmax", "Where", "MatMul"], True),
        (["MatMul", "Relu", "MatMul", "Softmax"], False),
        (["Conv", "Relu"], False),
    ],
)
def test_attention_is_a_product_with_a_softmax(operators, expected):
    nodes = [helper.make_node(name, [f"v{n}"], [f"v{n + 1}"]) for n, name in enumerate(operators)]
    assert has_attention(helper.make_graph(nodes, "g", [], [])) is expected
