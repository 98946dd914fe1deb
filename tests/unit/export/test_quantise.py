"""Variants as they are made: int8 doesn't move with the batch and fuses, weights have blocks, nodes are searched."""

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxserve.definition import read_definition
from onnxserve.scaffold import new_model
from onnxserve_export import search
from onnxserve_export.batches import write_batches
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.fusion import NOT_QUANTISED, Fusion
from onnxserve_export.graph_file import save_graph, weight_files
from onnxserve_export.int8 import quantise_nodes, types_for
from onnxserve_export.node_choice import BROKEN
from onnxserve_export.options import ExportOptions
from onnxserve_export.quantise import make_candidate
from onnxserve_export.sensitivity import FILE
from onnxserve_export.steps import STEPS
from onnxserve_export.variants import EVERY

NAMES = [step.name for step in STEPS]
LAYERS = 3  # of the template's network


@pytest.fixture
def circle(tmp_path: Path) -> Path:
    return new_model("table", "circle", tmp_path / "models")


def after(
    step: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, whole_graph_holds: bool | None = None
) -> ExportState:
    """The state after a step of an export in which all variants compete."""
    if whole_graph_holds is not None:
        monkeypatch.setattr(search.Search, "whole_graph_holds", lambda _: whole_graph_holds)
    steps, options = STEPS[: NAMES.index(step) + 1], ExportOptions(all_variants=True)
    return export_model(folder, folder.parent / "store", steps, lambda _: None, options=options)


def test_int8_runs_in_integer_kernels_and_does_not_move_with_the_batch(circle, monkeypatch):
    state = after("measure", circle, monkeypatch, whole_graph_holds=True)
    results = {result.variant: result for result in state.measured}
    assert results["int8"].fusion == Fusion(LAYERS, LAYERS)
    assert results["fp32"].fusion == Fusion(0, 0)
    assert (results["int8"].moves, results["int8"].batch_shift, results["int8"].max_batch) == (False, 0.0, 32)
    paired = results["int8"].select
    assert paired is not None
    assert paired.flips < 0.05
    assert {*results, *state.refused} == set(EVERY)


def test_nodes_are_not_searched_if_int8_keeps_the_budget(circle, monkeypatch):
    state = after("search", circle, monkeypatch, whole_graph_holds=True)
    assert state.refused["mixed"].startswith("not searched: int8 is foreseen to keep the budget")
    assert state.sensitivity is None
    assert not (circle / FILE).exists()


def test_nodes_are_searched_if_int8_misses_the_budget(circle, monkeypatch):
    tries: list[Path] = []

    def chance(_: search.Search, graph: Path) -> float:
        tries.append(graph)
        return 1.0 if quantised_in(graph) <= 2 else 0.0

    fits = counted(search, "quantise_fitted", monkeypatch)
    monkeypatch.setattr(search.Search, "chance", chance)
    state = after("search", circle, monkeypatch, whole_graph_holds=False)
    [mixed] = [candidate for candidate in state.candidates if candidate.variant == "mixed"]
    assert state.sensitivity is not None
    assert len(state.sensitivity.damage) == LAYERS
    assert (len(mixed.excluded), mixed.fusion.quantised) == (1, 2)
    assert mixed.note.startswith("2 of 3 nodes in 8 bits")
    assert mixed.note.endswith("fitted by NNCF")
    assert len(fits) == len(tries) == 1, "the graph that was tried is the variant"


def test_nodes_are_searched_if_int8_answers_a_golden_row_otherwise(circle, monkeypatch):
    faults = iter(["answers 1 of 3 golden rows otherwise"])  # of the whole graph, which is looked at first
    monkeypatch.setattr(search, "golden_fault", lambda state, golden: next(faults, ""))
    state = after("search", circle, monkeypatch)
    [mixed] = [candidate for candidate in state.candidates if candidate.variant == "mixed"]
    assert len(mixed.excluded) == 1
    assert "mixed" not in state.refused


def test_the_whole_graph_is_tried_where_int8_does_not_compete(circle, monkeypatch):
    text = (circle / "model.toml").read_text()
    assert '["int8", "fp32"]' in text
    (circle / "model.toml").write_text(text.replace('["int8", "fp32"]', '["mixed", "fp32"]'))
    monkeypatch.setattr(search.Search, "chance", lambda *_: 1.0)
    steps = STEPS[: NAMES.index("search") + 1]
    state = export_model(circle, circle.parent / "store", steps, lambda _: None)
    [mixed] = [candidate for candidate in state.candidates if candidate.variant == "mixed"]
    assert mixed.note.startswith("3 of 3 nodes in 8 bits")


def test_a_choice_of_nodes_that_answers_a_golden_row_otherwise_is_not_taken(circle, monkeypatch):
    monkeypatch.setattr(search, "golden_fault", lambda state, golden: "answers 1 of 3 golden rows otherwise")
    state = after("search", circle, monkeypatch)
    assert "mixed" not in {candidate.variant for candidate in state.candidates}
    assert state.refused["mixed"].startswith("no choice of nodes")


def test_nodes_that_the_toolchain_cannot_take_end_no_export(circle, monkeypatch):
    def fail(*_: Any) -> None:
        raise AssertionError("scale issue")  # as onnxruntime does where a range isn't finite

    ranks = iter([1.0, 1.0])  # of nodes that can be quantised alone, so that they are tried together too
    damage = search.Search.damage
    monkeypatch.setattr(search, "quantise_nodes", fail)
    monkeypatch.setattr(search, "quantise_fitted", fail)
    monkeypatch.setattr(search.Search, "damage", lambda whole, node: min(damage(whole, node), next(ranks, BROKEN)))
    state = after("search", circle, monkeypatch, whole_graph_holds=False)
    assert state.refused["mixed"].startswith("no choice of nodes")


def counted(module: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows with each call of a function."""
    calls: list[None] = []
    function = getattr(module, name)

    def call(*arguments: Any) -> Any:
        calls.append(None)
        return function(*arguments)

    monkeypatch.setattr(module, name, call)
    return calls


def quantised_in(path: Path) -> int:
    """How many products read a weight through DequantizeLinear."""
    graph = onnx.load(path).graph
    weights = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return sum(node.op_type == "Gemm" and node.input[1] in weights for node in graph.node)


@pytest.fixture
def product(tmp_path: Path) -> onnx.ModelProto:
    """One product with a weight."""
    weight = np.random.default_rng(0).normal(size=(256, 32)).astype(np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size]) for name, size in PRODUCT]
    nodes = [helper.make_node("MatMul", ["x", "weight"], ["y"], name="product")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(("variant", "bits"), [("w8", 8), ("w4", 4)])
def test_weights_alone_have_blocks_of_128_and_are_multiplied_as_integers(product, tmp_path, circle, variant, bits):
    onnx.save(product, tmp_path / "source.onnx")
    state: Any = SimpleNamespace(scratch=tmp_path, say=print, definition=read_definition(circle))
    candidate = make_candidate(state, variant, tmp_path / "source.onnx")
    [node] = onnx.load(candidate.path).graph.node
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    assert node.op_type == "MatMulNBits"
    assert (attributes["bits"], attributes["block_size"], attributes["accuracy_level"]) == (bits, 128, 4)
    assert candidate.fusion == Fusion(1, 1)


def test_a_graph_whose_weights_lie_beside_it_is_quantised_without_being_fitted(product, tmp_path, circle):
    save_graph(product, tmp_path / "source.onnx", limit=0)
    batch = {"x": np.random.default_rng(1).normal(size=(4, 256)).astype(np.float32)}
    groups = SimpleNamespace(calibrate=write_batches([batch], tmp_path / "rows.npz"))
    state: Any = SimpleNamespace(scratch=tmp_path, say=print, groups=groups, definition=read_definition(circle))
    candidate = make_candidate(state, "int8", tmp_path / "source.onnx")
    assert candidate.note.endswith("not fitted: NNCF takes no weights beside the graph")
    assert candidate.fusion == Fusion(1, 1)


def test_kernels_are_not_counted_for_a_gpu(product, tmp_path):
    onnx.save(product, tmp_path / "source.onnx")
    definition = SimpleNamespace(serve=SimpleNamespace(provider="tensorrt"))
    state: Any = SimpleNamespace(scratch=tmp_path, say=print, definition=definition)
    assert make_candidate(state, "w8", tmp_path / "source.onnx").fusion == NOT_QUANTISED


def test_weights_beside_a_graph_stay_beside_it_when_it_is_quantised_and_take_the_place_of_former_ones(
    product, tmp_path, circle
):
    save_graph(product, tmp_path / "source.onnx", limit=0)
    batch = {"x": np.random.default_rng(1).normal(size=(4, 256)).astype(np.float32)}
    groups = SimpleNamespace(calibrate=write_batches([batch], tmp_path / "rows.npz"))
    state: Any = SimpleNamespace(groups=groups, definition=read_definition(circle))
    target, sizes = tmp_path / "int8.onnx", []
    for _ in range(2):
        quantise_nodes(state, tmp_path / "source.onnx", target, ["product"], types_for(["avx512_vnni"]))
        [weights] = weight_files(target)
        sizes.append(weights.stat().st_size)
    assert sizes[0] == sizes[1] >= 256 * 32


PRODUCT = (("x", 256), ("y", 32))
