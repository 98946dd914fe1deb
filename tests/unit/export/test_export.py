"""Export: what is refused, and that what passes is the same each time."""

import hashlib
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from onnxserve.errors import CheckFailed, DefinitionError, OnnxserveError, StepFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.paired_statistics import compare_labels
from onnxserve_export.rows import split_rows
from onnxserve_export.step import Step, run_steps
from onnxserve_export.steps import STEPS
from onnxserve_export.subset import Row
from onnxserve_export.verify import stretch

FORWARD = "logits: torch.Tensor = self.layers(features)"
BRANCH_ON_VALUES = "\n        if features[0, 0] > 100:\n            logits = logits * 2"


def export_changed(folder: Path, old: str, new: str, store: Path) -> ExportState:
    path = folder / "model.py" if old in (folder / "model.py").read_text() else folder / "model.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return export_model(folder, store, STEPS, lambda _: None)


@pytest.fixture
def circle(tmp_path) -> Path:
    return new_model("table", "circle", tmp_path / "models")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (FORWARD, FORWARD + " - features.mean(0).sum()", "torch's answer to a row moves"),
        (FORWARD, FORWARD + " * (2.0 if features.shape[0] > 4 else 1.0)", r"torch's answer to a row moves"),
        (FORWARD, FORWARD + " + torch.rand_like(features).sum() * 1e-3", "differ by .* from one call to the next"),
        (FORWARD, FORWARD + BRANCH_ON_VALUES, "torch can't export the module"),
        ('["outside", "inside"]', '["inside", "outside"]', 'torch answers "outside" to a golden row'),
        ('variants = ["int8", "fp32"]', 'variants = ["w4"]', "no variant could be made"),
    ],
)
def test_a_failed_check_says_step_measure_and_remedy_and_leaves_no_archive(circle, tmp_path, old, new, message):
    with pytest.raises(CheckFailed, match=message) as caught:
        export_changed(circle, old, new, tmp_path / "store")
    assert caught.value.measured
    assert caught.value.allowed
    assert caught.value.fix
    assert not list(tmp_path.glob("store/*.mar"))


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("model = Circle()", "model = Circle(3)", StepFailed, "step load failed: TypeError"),
        ("return model\n", "return 3\n", StepFailed, r"step load .*gave int, which isn't a model"),
        ('"model.py:load"', '"model.py:nothing"', StepFailed, "no function 'nothing'"),
        ('"model.py:load"', '"no_such_module:load"', StepFailed, "no module 'no_such_module'"),
        ('columns = ["x", "y"]', 'columns = ["x"]', StepFailed, "2 values, 1 are expected"),
    ],
)
def test_a_broken_definition_is_told_without_a_traceback(circle, tmp_path, old, new, error, message):
    with pytest.raises(error, match=message):
        export_changed(circle, old, new, tmp_path / "store")


def test_a_store_that_is_no_folder_is_named_before_any_work(circle, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OnnxserveError, match="the store can't be a folder") as caught:
        export_model(circle, tmp_path / "file", STEPS, print)
    assert caught.value.where == str(tmp_path / "file")


def test_the_same_definition_gives_the_same_archive(definition, archive, tmp_path):
    again = export_model(definition, tmp_path, STEPS, lambda _: None)
    assert again.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (tmp_path / "circle-1.0.0.report.html").read_text().count("<table") == 7


def test_a_module_and_a_handler_of_the_users_own_are_exported(circle, tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text((circle / "model.py").read_text())
    monkeypatch.chdir(tmp_path)
    (circle / "handler.py").write_text(
        "from .inputs.table import TabularClassifier\nfrom .voice import shouted\n\n\n"
        "class Shouting(TabularClassifier):\n    def predictions(self, outputs):\n"
        "        return [{**one, 'label': shouted(one['label'])} for one in super().predictions(outputs)]\n"
    )
    (circle / "voice.py").write_text("def shouted(text):\n    return text.upper()\n")
    toml = circle / "model.toml"
    text = toml.read_text().replace("rows = ", 'handler = "handler.py:Shouting"\nrows = ')
    toml.write_text(text.replace("model.py:load", "mynet:load").replace("model.py:rows", "mynet:rows"))
    state = export_model(circle, tmp_path / "store", STEPS, lambda _: None)
    from onnxserve.archive import unpack
    from onnxserve.archive.offline import answers

    unpack(state.archive, tmp_path / "open")
    [answer] = answers(tmp_path / "open", [b'{"instances": [[0, 0]]}'])
    assert answer["body"]["predictions"][0]["label"] == "INSIDE"


def circle_graph() -> onnx.ModelProto:
    """In an old opset, with nodes without names: logits, and a radius a row, which has rank 1."""
    weight = onnx.numpy_helper.from_array(np.array([[8, -8], [8, -8]], np.float32), "w")
    bias = onnx.numpy_helper.from_array(np.array([-8, 8], np.float32), "b")
    nodes = [
        onnx.helper.make_node("Mul", ["point", "point"], ["squares"]),
        onnx.helper.make_node("Gemm", ["squares", "w", "b"], ["logits"]),
        onnx.helper.make_node("ReduceL2", ["point"], ["radius"], axes=[1], keepdims=0),
    ]
    [point, logits, radius] = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("point", [1, 2]), ("logits", [1, 2]), ("radius", [1]))
    ]
    graph = onnx.helper.make_graph(nodes, "circle", [point], [logits, radius], [weight, bias])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 9)], ir_version=4)


def test_a_ready_graph_with_two_outputs_is_exported_proven_and_answers(circle, tmp_path):
    from onnxserve.archive import unpack
    from onnxserve.archive.offline import answers

    onnx.save(circle_graph(), circle / "circle.onnx")
    state = export_changed(circle, '"model.py:load"', '"circle.onnx"', tmp_path / "store")
    summary = state.evidence["summary"]
    assert (summary["source"], state.model.summary) == ("onnxruntime", "circle.onnx, opset 9, 3 nodes")
    assert summary["worst_parity"] < 1e-6
    unpack(state.archive, tmp_path / "open")
    signature = msgspec.json.decode((tmp_path / "open" / "signature.json").read_bytes())
    assert [(tensor["name"], tensor["shape"]) for tensor in signature["outputs"]] == [
        ("logits", ["batch", 2]),
        ("radius", ["batch"]),
    ]
    tensors = b'{"inputs": [{"name": "features", "datatype": "FP32", "shape": [2, 2], "data": [0, 0.5, 3, 4]}]}'
    named, raw = answers(tmp_path / "open", [b'{"instances": [[0, 0.5], [3, 4]]}', tensors])
    assert [prediction["label"] for prediction in named["body"]["predictions"]] == ["inside", "outside"]
    radius = next(output for output in raw["body"]["outputs"] if output["name"] == "radius")
    assert (radius["shape"], radius["data"]) == ([2], pytest.approx([0.5, 5.0]))


TAGS = """        tags = self.head(self.vectors(input_ids))
        return {"tags": tags, "length": attention_mask.sum(1), "pairs": tags @ tags.transpose(1, 2)}
"""


def test_a_module_with_a_tag_a_token_passes_every_step_whatever_the_rows_lengths(tmp_path):
    folder = new_model("text", "tags", tmp_path)
    text = (folder / "model.py").read_text()
    start, stop = text.index("        mask = attention_mask[:, :, None]"), text.index("\n\ndef load")
    text = (
        text[:start] + TAGS + "\n\ndef load(fit):\n    return Words()\n" + text[stop:].replace("def load", "def train")
    )
    (folder / "model.py").write_text(text.replace('f"the {source', '"really " * source.randrange(6) + f"the {source'))
    toml = (folder / "model.toml").read_text().replace('"classification"\nlabels = ["complaint", "praise"]', '"raw"')
    (folder / "model.toml").write_text(toml)
    (folder / "golden.jsonl").write_text('{"input": "the shop"}\n{"input": "the shop was late and slow"}\n')
    state = export_model(folder, tmp_path / "store", STEPS, lambda _: None)
    assert {name: array.shape for name, array in state.golden_outputs.items()} == {
        "tags": (2, 6, 2),
        "length": (2,),
        "pairs": (2, 6, 6),
    }
    assert not state.golden_outputs["pairs"][0, 2:].any()  # beyond the two tokens of the first row
    assert state.row_axes == {"tags": {1: "sequence"}, "pairs": {1: "sequence", 2: "sequence"}}


def test_a_step_without_its_requirement_is_refused(tmp_path):
    state = ExportState(None, tmp_path, tmp_path, lambda _: None)  # type: ignore[arg-type]  # no definition is reached
    with pytest.raises(StepFailed, match="requires"):
        run_steps(state, [Step("x", ("model",), (), lambda _: None)])
    with pytest.raises(StepFailed, match="did not make"):
        run_steps(state, [Step("x", (), ("model",), lambda _: None)])


def test_subsets_are_disjoint_whatever_the_order_and_duplicates_go(tmp_path):
    rows = [Row([i], "a") for i in range(100)]
    split, other = split_rows(rows, tmp_path / "1"), split_rows([*reversed(rows), rows[0]], tmp_path / "2")
    parts = [{tuple(row.value) for row in part} for part in split.subsets.values()]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 100
    assert [subset.digest for subset in split.subsets.values()] == [subset.digest for subset in other.subsets.values()]
    assert other.duplicates == 1


def test_a_row_added_moves_no_other_between_subsets(tmp_path):
    rows = [Row([i], i) for i in range(200)]
    before, after = split_rows(rows, tmp_path / "1"), split_rows([Row([-1], 0), *rows], tmp_path / "2")
    for name, subset in before.subsets.items():
        assert {row.label for row in subset} <= {row.label for row in after.subsets[name]}


def test_rows_are_read_once_from_a_stream_and_kept_on_disk(tmp_path):
    def stream():
        for i in range(3000):
            yield Row(b"\xff" * 10_000 + str(i).encode(), "a")

    tracemalloc.start()
    split = split_rows(stream(), tmp_path / "rows")
    assert sum(len(row.value) for row in split.certify) > 5_000_000
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_rows_are_stretched_to_an_exact_length_on_free_axes_only():
    arrays = {"ids": np.array([[1, 2, 3], [4, 5, 0]]), "other": np.array([[7], [8]])}
    stretched = stretch(arrays, {"ids": {1: "sequence"}}, {"sequence": 5})
    np.testing.assert_array_equal(stretched["ids"], [[1, 2, 3, 1, 2], [4, 5, 0, 4, 5]])
    np.testing.assert_array_equal(stretched["other"], arrays["other"])
    assert stretch(arrays, {"ids": {1: "sequence"}}, {"sequence": 2})["ids"].shape == (2, 2)


def test_a_text_model_that_differs_at_its_longest_length_is_refused(tmp_path):
    folder = new_model("text", "words", tmp_path)
    old = "        return logits\n"
    with pytest.raises(CheckFailed, match=r"trace: .*axis 1 of input_ids holds from 0 to 40 only"):
        export_changed(folder, old, "        return logits * (2.0 if input_ids.shape[1] > 40 else 1.0)\n", tmp_path)


def test_a_graph_that_deviates_names_the_module_and_the_node(circle, tmp_path):
    def corrupt(state: ExportState) -> None:
        proto = onnx.load(state.fp32)
        [bias] = [tensor for tensor in proto.graph.initializer if tensor.name == "layers.2.bias"]
        bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 1, bias.name))
        onnx.save(proto, state.fp32)

    at = [step.name for step in STEPS].index("verify")
    steps = [*STEPS[:at], Step("corrupt", (), (), corrupt), *STEPS[at:]]
    with pytest.raises(CheckFailed, match=r"verify: fp32 deviates by") as caught:
        export_model(circle, tmp_path / "store", steps, lambda _: None)
    assert "first at module layers.2 (Linear), node layers.2/Gemm_0" in caught.value.where


def test_labels_are_compared_with_torch():
    reference = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    candidate = np.array([[1.0, 0], [0, 1], [0, 1], [0, 1]])
    paired = compare_labels(reference, candidate, np.array([0, 0, 1, 0]))
    assert (paired.accuracy, paired.reference_accuracy, paired.drop, paired.flips) == (0.5, 0.75, 0.25, 0.25)


def test_a_new_model_never_overwrites_and_wants_a_name(circle, tmp_path):
    for kind, name, message in [
        ("table", "circle", "exists"),
        ("table", "a/b", "a valid model name"),
        ("video", "x", "no kind"),
    ]:
        with pytest.raises(DefinitionError, match=message):
            new_model(kind, name, tmp_path / "models")


def test_errors_carry_what_where_and_fix():
    assert str(OnnxserveError("what", where="here", fix="so")) == "what\n  where: here\n  fix:   so"
    assert torch.__version__.startswith("2.13")
