"""Golden rows, and deviations in spreads of the outputs, which don't depend on a unit."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from onnxserve.archive import check_archive, contents, unpack, write_archive
from onnxserve.archive.deviation import TOLERANCE, deviation, magnitude_of, recorded_scale, scale_of
from onnxserve.errors import ArchiveError, CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.export import export_model
from onnxserve_export.steps import STEPS
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.classification import ClassificationOptions
from onnxserve_handlers.tasks.detection import DetectionOptions
from onnxserve_handlers.tasks.embedding import EmbeddingOptions
from onnxserve_handlers.tasks.multilabel import MultilabelOptions
from onnxserve_handlers.tasks.raw import RawOptions
from onnxserve_handlers.tasks.regression import RegressionOptions
from onnxserve_handlers.tasks.rerank import RerankOptions
from onnxserve_handlers.tasks.segmentation import SegmentationOptions
from onnxserve_handlers.tasks.tokens import TokensOptions
from onnxserve_handlers.trust.model import (
    Golden,
    GoldenMismatch,
    GoldenOutput,
    check_golden,
    check_labels,
    read_golden,
)
from tests.helpers.definitions import regression_toml


@pytest.mark.parametrize("answer", [1.5, float("nan"), float("inf")])
def test_golden_rows_that_deviate_keep_the_worker_from_loading(answer):
    golden = Golden([1], [[1.0]], 0.01)
    assert check_golden(golden, lambda rows: {"y": np.ones((len(rows), 1))}) == 0
    with pytest.raises(GoldenMismatch, match=r"0\.01 is allowed"):
        check_golden(golden, lambda rows: {"y": np.full((len(rows), 1), answer)})


@pytest.mark.parametrize(
    ("unit", "error", "passes"),
    [
        (1e-7, 1e-10, True),
        (1e-7, 1e-8, False),  # an absolute tolerance of 0.01 would let anything pass
        (1e6, 0.02, True),  # and would refuse this
        (1e6, 1e5, False),
    ],
)
def test_what_is_tolerated_follows_the_unit_of_the_outputs(unit, error, passes):
    reference = unit * np.linspace(1, 2, 50, dtype=np.float32)[:, None]
    scale = scale_of(reference, each=True)
    golden = Golden([0, 1], reference[:2].tolist(), 0.01, scale.tolist())
    answers = reference[:2].astype(np.float64) + error

    def run(instances: list[int]) -> dict[str, np.ndarray]:
        return {"y": np.asarray(answers[instances])}

    if passes:
        assert check_golden(golden, run) == pytest.approx(error / scale[0], rel=1e-3)
        assert deviation(answers, reference[:2], scale) < 10 * TOLERANCE
    else:
        with pytest.raises(GoldenMismatch, match="of its spread"):
            check_golden(golden, run)
        assert deviation(answers, reference[:2], scale) > TOLERANCE


def test_outputs_in_several_units_are_measured_each_by_its_own():
    reference = np.linspace(1, 2, 50)[:, None] * np.array([[1e-7, 1e6]])
    scale = scale_of(reference, each=True)
    wrong = reference + np.array([[1e-7, 0]])
    assert deviation(wrong, reference, scale) > 1
    assert deviation(wrong, reference, scale_of(reference)) < 1e-9  # as one measure for both would see it


def test_rounding_of_float32_is_no_deviation_where_outputs_hardly_differ():
    reference = (1e6 + np.linspace(0, 0.1, 50, dtype=np.float64)).astype(np.float32)[:, None]
    neighbour = np.nextafter(reference, np.float32(2e6))
    assert 0 < deviation(neighbour, reference, scale_of(reference)) < TOLERANCE
    constant, nothing = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32)
    assert deviation(constant, constant, scale_of(constant, each=True)) == 0
    assert deviation(nothing, nothing, scale_of(nothing)) == 0
    assert deviation(constant, nothing, scale_of(nothing)) > 1e30
    assert magnitude_of(nothing) > 0


def test_outputs_that_can_not_be_compared_lie_infinitely_far_apart():
    outputs = np.ones((3, 2))
    assert deviation(outputs[:2], outputs, np.ones(1)) == float("inf")
    assert deviation(np.full((3, 2), np.inf), np.full((3, 2), np.inf), np.ones(1)) == float("inf")
    assert deviation(outputs[:0], outputs[:0], np.ones(1)) == 0


def test_an_archive_records_its_scale_and_an_older_one_is_measured_by_its_outputs(archive, tmp_path):
    unpack(archive, tmp_path)
    golden = read_golden(tmp_path)
    assert recorded_scale(tmp_path, np.ones((2, 2))).tolist() == golden.scale
    assert len(golden.scale) == 1  # logits of a classifier are compared with each other
    assert recorded_scale(tmp_path / "older", np.array([[1.0], [3.0]])).tolist() == [1.0]


REGRESSION = """
import numpy as np
import torch


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1, bias=False)

    def forward(self, features):
        return self.layer(features) * UNIT


def load():
    torch.manual_seed(0)
    return Line()


def rows():
    draws = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    return [(row.tolist(), float(row.sum() * UNIT)) for row in draws]
"""


def exported(folder, unit: str, change: tuple[str, str] = ("", "")):
    model = new_model("table", "line", folder / "models")
    (model / "model.toml").write_text(regression_toml("line"))
    text = REGRESSION.replace("UNIT", unit)
    assert change[0] in text
    (model / "model.py").write_text(text.replace(*change) if change[0] else text)
    (model / "golden.jsonl").write_text('{"input": [1.0, 2.0]}\n{"input": [-1.0, 0.5]}\n')
    return export_model(model, folder / "store", STEPS, lambda _: None)


@pytest.mark.parametrize("unit", ["1e-7", "1e6"])
def test_a_regression_is_exported_with_golden_rows_in_its_unit_and_a_worse_graph_is_refused(tmp_path, unit):
    work = exported(tmp_path, unit)
    unpack(work.archive, tmp_path / "open")
    golden = read_golden(tmp_path / "open")
    allowed = golden.tolerance * golden.scale[0]
    assert 1e-3 * float(unit) < allowed < 0.1 * float(unit)
    assert work.parity[0].deviation < TOLERANCE
    wrong = [[value + 0.2 * float(unit) for value in row] for row in golden.outputs]
    with pytest.raises(GoldenMismatch):
        check_golden(
            golden, lambda instances: {"y": np.array([wrong[golden.instances.index(row)] for row in instances])}
        )


def test_torch_that_mixes_rows_is_found_however_small_its_outputs(tmp_path):
    with pytest.raises(CheckFailed, match=r"moves by .* of the outputs' spread"):
        exported(tmp_path, "1e-7", ("self.layer(features)", "(self.layer(features) - 0.1 * features.mean())"))
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").glob("*.mar"))


def test_rows_whose_outputs_have_sizes_of_their_own_are_compared_with_zeros_at_their_ends():
    rows = {"short": [1.0], "long": [2.0, 3.0]}

    def run(instances, error=0.0):
        widest = max(len(rows[name]) for name in instances)
        padded = np.array([rows[name] + [0.0] * (widest - len(rows[name])) for name in instances])
        return {"y": padded + error * (len(instances) == 1)}

    golden = Golden(["short", "long"], [[1.0, 0.0], [2.0, 3.0]], tolerance=0.1)
    assert check_golden(golden, run) == 0
    with pytest.raises(GoldenMismatch):
        check_golden(golden, lambda instances: run(instances, error=0.5))


def two_outputs(second: float = 2.0) -> dict[str, np.ndarray]:
    return {"first": np.array([[1.0]]), "second": np.array([second], np.float32)}


def test_every_output_must_be_reproduced_in_its_own_unit():
    others = {"second": GoldenOutput.of(np.array([2.0], np.float32), np.array([100.0]))}
    golden = Golden([0], [[1.0]], 0.01, [1.0], others)
    assert msgspec.json.decode(msgspec.json.encode(golden), type=Golden) == golden
    assert check_golden(golden, lambda _: two_outputs(2.5)) == pytest.approx(0.005)
    with pytest.raises(GoldenMismatch, match=r"the source's output second by 0\.02"):
        check_golden(golden, lambda _: two_outputs(4.0))
    with pytest.raises(GoldenMismatch, match="no output second"):
        check_golden(golden, lambda _: {"first": np.array([[1.0]])})
    with pytest.raises(GoldenMismatch, match="by inf"):
        check_golden(golden, lambda _: {**two_outputs(), "second": np.ones((1, 3))})
    former = Golden([0], [[1.0]], 0.01)  # until 0.3 there were no others
    assert check_golden(former, lambda _: two_outputs(99.0)) == 0


def test_a_labelled_golden_row_must_be_answered_as_its_label_says():
    task = task_for(ClassificationOptions(labels=("a", "b")))
    outputs = Outputs(logits=np.array([[1.0, 0], [1, 0], [0, 1]]))
    check_labels(Golden([0, 1, 2], [[1.0, 0]] * 3, 1, labels=["a", None, "b"]), outputs, None, task.right)
    with pytest.raises(GoldenMismatch, match=r"golden row 2 is answered otherwise than its label 'a' says \(1 of 2"):
        check_labels(Golden([0, 1, 2], [[1.0, 0]] * 3, 1, labels=["a", None, "a"]), outputs, None, task.right)


def test_an_archive_whose_graph_answers_a_labelled_golden_row_otherwise_is_not_loaded(archive, tmp_path):
    members, manifest, _ = contents(archive)
    golden = json.loads(members["golden.json"])
    assert golden["labels"] == ["inside", "outside"]
    members["golden.json"] = json.dumps({**golden, "labels": golden["labels"][::-1]}).encode()
    write_archive(tmp_path / "wrong.mar", members, manifest)
    with pytest.raises(ArchiveError, match="golden row 0 is answered otherwise than its label 'outside' says"):
        check_archive(tmp_path / "wrong.mar")
    former = {name: golden[name] for name in ("instances", "outputs", "tolerance", "scale")}
    members["golden.json"] = json.dumps(former).encode()
    write_archive(tmp_path / "former.mar", members, manifest)
    assert check_archive(tmp_path / "former.mar").golden_rows == 2


BOXES = Outputs(boxes=np.array([[[0.0, 0, 10, 10]]]), scores=np.array([[0.9]]), numbers=np.zeros((1, 1), np.int64))
MASK, NUMBERS = Outputs(mask=np.eye(2, dtype=int)[None]), Outputs(values=np.array([[3.0]]), second=np.array([1]))
FAR = {"label": "a", "box": [9, 9, 20, 20]}
SCALES = {name: np.ones(1) for name in ("boxes", "values", "second", "vector", "mask", "scores", "tags")}
RIGHT_AND_WRONG = [
    (MultilabelOptions(labels=("a", "b"), activation="none"), Outputs(scores=np.array([[0.9, 0.1]])), ["a"], ["b"]),
    (MultilabelOptions(labels=("a", "b"), activation="none"), Outputs(scores=np.array([[0.9, 0.1]])), ["a"], []),
    (DetectionOptions(labels=("a",)), BOXES, [{"label": "a", "box": [1, 0, 10, 10]}], []),
    (
        DetectionOptions(labels=("a",)),
        BOXES,
        [{"label": "a", "box": [0, 0, 9, 9]}],
        [{"label": "a", "box": [9, 9, 20, 20]}],
    ),
    (
        SegmentationOptions(labels=("a", "b")),
        Outputs(mask=np.eye(2, dtype=int)[None]),
        [[1, 0], [0, 1]],
        [[0, 1], [1, 0]],
    ),
    (RerankOptions(activation="none"), Outputs(scores=np.array([0.8])), 1.0, 0.0),
    (RegressionOptions(), Outputs(values=np.array([[3.0]])), 3.4, 5.0),
    (RegressionOptions(), Outputs(values=np.array([[3.0, 1.0]])), [3.4, 1], [3.4, 3]),
    (EmbeddingOptions(), Outputs(vector=np.array([[1.0, 0.0]])), [2.0, 0.0], [0.0, 1.0]),
    (
        RawOptions(),
        Outputs(values=np.array([[3.0]]), second=np.array([1])),
        {"values": [3.001], "second": 1},
        {"second": 2},
    ),
    (TokensOptions(labels=("O", "PER")), Outputs(tags=np.array([[[1.0, 0], [0, 1]]])), ["O", "PER"], ["PER", "O"]),
]


@pytest.mark.parametrize(("options", "outputs", "right", "wrong"), RIGHT_AND_WRONG)
def test_each_task_knows_a_right_answer_and_a_wrong_one(options, outputs, right, wrong):
    task = task_for(options)
    assert [task.golden_fault(label) for label in (right, wrong)] == ["", ""]
    assert [bool(task.right(outputs, [label], None, SCALES)[0]) for label in (right, wrong)] == [True, False]


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (RegressionOptions(), "three"),
        (RegressionOptions(), [[1], [1, 2]]),
        (EmbeddingOptions(), "topic"),
        (RawOptions(), 3.0),
        (RawOptions(), {"values": "x"}),
        (MultilabelOptions(labels=("a",)), ["b"]),
        (ClassificationOptions(labels=("a",)), "b"),
        (DetectionOptions(labels=("a",)), "a"),
        (RerankOptions(), 2),
    ],
)
def test_a_label_with_which_no_answer_can_be_compared_is_told(options, label):
    assert task_for(options).golden_fault(label)
