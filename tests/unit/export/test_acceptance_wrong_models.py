"""Models and rows that are wrong in ways that a proof could overlook: the export refuses them, or says the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.archive.deviation import deviation, scale_of
from onnxserve.definition import QuantiseSection, read_definition
from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.acceptance import Acceptance, Basis
from onnxserve_export.paired_statistics import spread_of, vector_errors
from onnxserve_export.parity import compare, fault_of, row_scales
from onnxserve_export.source_worth import check_worth
from onnxserve_export.subset import Row
from onnxserve_export.typical_spread import row_units, typical_scales
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.signature import OutputOptions
from onnxserve_handlers.tasks.classification import ClassificationOptions
from onnxserve_handlers.tasks.detection import DetectionOptions
from onnxserve_handlers.tasks.embedding import EmbeddingOptions
from onnxserve_handlers.tasks.multilabel import MultilabelOptions
from onnxserve_handlers.tasks.raw import RawOptions
from onnxserve_handlers.tasks.regression import RegressionOptions
from onnxserve_handlers.tasks.segmentation import SegmentationOptions
from onnxserve_handlers.tasks.tokens import TokensOptions

ROWS = 1000
LABELS = ("a", "b", "c", "d")


def acceptance(folder: Path, output: OutputOptions, source: Outputs, labels: Any = None) -> Acceptance:
    base = read_definition(new_model("table", "circle", folder))
    definition = msgspec.structs.replace(base, output=output, quantise=QuantiseSection(max_accuracy_drop=0.02))
    count = len(next(iter(source.values())))
    rows = [Row(number, None if labels is None else labels[number]) for number in range(count)]
    return Acceptance(definition, rows, source, basis=Basis(labels is not None))


@pytest.mark.parametrize("unit", [1e25, 1e-25, 1e200])
def test_a_constant_is_no_regression_however_large_or_small_the_values(tmp_path, unit):
    kind = np.float64 if unit > 1e38 else np.float32
    source = Outputs(values=(unit * np.random.default_rng(1).normal(size=(ROWS, 1))).astype(kind))
    judge = acceptance(tmp_path, RegressionOptions(), source)
    assert judge.verdict(judge.compare(source)) == ""
    constant = Outputs(values=np.zeros_like(source["values"]))
    assert judge.compare(constant).drop > 0.9
    assert judge.verdict(judge.compare(constant)) != ""
    assert deviation(constant["values"], source["values"], scale_of(source["values"])) > 0.5


def test_one_huge_row_does_not_hide_what_is_wrong_with_all_others(tmp_path):
    values = np.random.default_rng(2).normal(size=(ROWS, 1)).astype(np.float32)
    values[7] = 1e9
    source, wrong = Outputs(values=values), Outputs(values=np.where(values > 1e8, values, -values))
    judge = acceptance(tmp_path, RegressionOptions(), source)
    assert judge.compare(wrong).drop > 0.9
    assert judge.verdict(judge.compare(source)) == ""
    scales = {"values": scale_of(values, each=True)}
    assert deviation(wrong["values"], values, scales["values"]) < 1e-3  # the spread of all rows shows nothing
    narrow = typical_scales(scales, source)
    units = {"values": row_units(values, narrow["values"], values)}
    assert "deviates by" in fault_of([compare("certify", source, wrong, units, None)])
    rounded = Outputs(values=np.nextafter(values, np.float32(2e9)))
    assert fault_of([compare("certify", source, rounded, units, None)]) == ""  # float32 itself is coarse there


def test_a_huge_value_does_not_hide_what_is_wrong_with_values_of_other_units():
    values = np.random.default_rng(8).normal(size=(ROWS, 2)) * [1e6, 1e-2]
    values[7, 0] = 1e9
    source, wrong = Outputs(values=values), Outputs(values=values.copy())
    wrong["values"][7, 1] += 1
    narrow = typical_scales({"values": scale_of(values, each=True)}, source)
    units = {"values": row_units(values, narrow["values"], values)}
    for group, own in (("certify", units), ("generated", row_scales(source, narrow))):
        assert f"{group} row 7 deviates by" in fault_of([compare(group, source, wrong, own, None)])
        rounded = Outputs(values=values.astype(np.float32).astype(np.float64))
        assert fault_of([compare(group, source, rounded, own, None)]) == ""


def test_values_that_hardly_ever_change_keep_their_spread():
    rare = np.zeros((ROWS, 1))
    rare[:20] = 5
    assert spread_of(rare) == pytest.approx(rare.std())
    normal = np.random.default_rng(3).normal(size=(ROWS, 3))
    assert spread_of(normal) == pytest.approx(float(np.sqrt(normal.var(axis=0).mean())))


def test_vectors_without_a_direction_are_equal_to_each_other_alone(tmp_path):
    nothing, some = np.zeros((ROWS, 3), np.float32), np.ones((ROWS, 3), np.float32)
    assert vector_errors(nothing, nothing).max() == 0
    assert vector_errors(nothing, some).min() == 1
    judge = acceptance(tmp_path, EmbeddingOptions(), Outputs(vectors=nothing))
    assert judge.compare(Outputs(vectors=nothing)).drop == 0
    assert judge.compare(Outputs(vectors=some)).drop == 1


def classifier(shift: int) -> tuple[OutputOptions, Outputs, list[Any]]:
    numbers = np.arange(ROWS) % 4
    labels = [LABELS[(number + shift) % 4] for number in numbers]
    return ClassificationOptions(labels=LABELS), Outputs(logits=np.eye(4, dtype=np.float32)[numbers]), labels


def detector(shift: int) -> tuple[OutputOptions, Outputs, list[Any]]:
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (ROWS, 1, 1))
    numbers = (np.arange(ROWS) % 4)[:, None]
    outputs = Outputs(boxes=boxes, scores=np.full((ROWS, 1), 0.9, np.float32), numbers=numbers)
    labels = [[{"label": LABELS[(number + shift) % 4], "box": [0, 0, 10, 10]}] for number in numbers[:, 0]]
    return DetectionOptions(labels=LABELS), outputs, labels


def tagger(shift: int) -> tuple[OutputOptions, Outputs, list[Any]]:
    tags = np.eye(4, dtype=np.float32)[np.tile([1, 2], (ROWS, 1))]
    label = [{"label": LABELS[1 + shift], "start": 0, "end": 1}, {"label": LABELS[2 + shift], "start": 1, "end": 2}]
    return TokensOptions(labels=LABELS, outside="a"), Outputs(tags=tags), [label] * ROWS


def tagged(shift: int) -> tuple[OutputOptions, Outputs, list[Any]]:
    scores = np.eye(4, dtype=np.float32)[np.arange(ROWS) % 4]
    labels = [[LABELS[(number + shift) % 4]] for number in range(ROWS)]
    return MultilabelOptions(labels=LABELS, activation="none"), Outputs(scores=scores), labels


def masks(shift: int) -> tuple[OutputOptions, Outputs, list[Any]]:
    mask = np.array([[0, 1], [2, 3]])
    label = ((mask + shift) % 4).tolist()
    return SegmentationOptions(labels=LABELS), Outputs(mask=np.tile(mask, (ROWS, 1, 1))), [label] * ROWS


@pytest.mark.parametrize("case", [classifier, detector, tagger, tagged, masks])
def test_beside_labels_that_are_shifted_nothing_can_be_lost_so_nothing_is_certified(tmp_path, case):
    options, source, labels = case(0)
    check_worth(acceptance(tmp_path / "right", options, source, labels), "torch")
    options, source, labels = case(1)
    judge = acceptance(tmp_path / "shifted", options, source, labels)
    garbage = Outputs({name: np.zeros_like(array) for name, array in source.items()})
    assert judge.verdict(judge.compare(garbage)) == "" or judge.compare(garbage).drop <= 0  # so it must be refused here
    with pytest.raises(CheckFailed, match="rows without labels") as caught:
        check_worth(judge, "torch")
    assert caught.value.measured.startswith("torch")


def test_a_source_that_is_no_worse_than_a_constant_answer_is_seldom_refused(tmp_path):
    draws, refused, tries = np.random.default_rng(4), 0, 200
    options, _, _ = classifier(0)
    for number in range(tries):
        numbers, guesses = draws.integers(0, 4, 400), draws.integers(0, 4, 400)
        judge = acceptance(
            tmp_path / str(number),
            options,
            Outputs(logits=np.eye(4, dtype=np.float32)[guesses]),
            [LABELS[place] for place in numbers],
        )
        try:
            check_worth(judge, "torch")
        except CheckFailed:
            refused += 1
    assert refused / tries <= 0.05  # the most frequent label of 400 rows has a little more than its share


@pytest.mark.parametrize(
    ("options", "outputs"),
    [
        (DetectionOptions(labels=LABELS), Outputs(scores=np.ones((2, 5)), boxes=np.ones((2, 5, 4)))),
        (TokensOptions(labels=LABELS), Outputs(tags=np.ones((2, 4, 7)))),
        (SegmentationOptions(labels=LABELS), Outputs(mask=np.ones((2, 8, 8, 4)))),
        (ClassificationOptions(labels=LABELS), Outputs(vector=np.ones((2, 9)), logits=np.ones((2, 4)))),
    ],
)
def test_outputs_in_another_order_are_told(options, outputs):
    assert task_for(options).outputs_fault(outputs)


@pytest.mark.parametrize(
    ("options", "source", "moved"),
    [
        (MultilabelOptions(labels=("a",), activation="none"), [[0.4999999]], [[0.5000001]]),
        (MultilabelOptions(labels=("a",), activation="sigmoid"), [[-1e-8]], [[1e-8]]),
        (TokensOptions(labels=("O", "PER"), activation="none"), [[[0.5, 0.4999999]]], [[[0.4999999, 0.5]]]),
    ],
)
def test_a_row_at_a_threshold_is_another_answer_though_its_outputs_hardly_differ(options, source, moved):
    first, second = (Outputs(y=np.array(values * 4, np.float64)) for values in (source, moved))
    fault = fault_of([compare("select", first, second, {"y": np.ones(1)}, task_for(options).changes)])
    assert fault.startswith("not equal to its source: 4 of 4 rows (100.00%) get another answer, first select row 0")
    assert "they lie at a threshold" in fault


def test_a_box_at_the_threshold_and_a_pixel_at_a_border(tmp_path):
    boxes, numbers = np.tile([[0.0, 0, 10, 10]], (1, 1, 1)), np.zeros((1, 1), int)
    near = [Outputs(boxes=boxes, scores=np.array([[score]]), numbers=numbers) for score in (0.2499999, 0.25)]
    assert task_for(DetectionOptions(labels=LABELS)).changes(*near).tolist() == [True]
    mask = np.zeros((1, 50, 50), int)
    one_pixel, many = mask.copy(), mask.copy()
    one_pixel[0, 0, 0], many[0, :2] = 1, 1
    task = task_for(SegmentationOptions(labels=LABELS))
    assert [task.changes(Outputs(m=other), Outputs(m=mask))[0] for other in (one_pixel, many)] == [False, True]
    assert task_for(RawOptions()).changes(Outputs(m=many), Outputs(m=mask)).tolist() == [False]
