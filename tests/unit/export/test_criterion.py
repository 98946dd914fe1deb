"""Each task's own measure decides what may serve, by a bound that is as seldom wrong as promised."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.archive.evidence import describe_loss, describe_proof
from onnxserve.definition import Definition, QuantiseSection, read_definition
from onnxserve.errors import DefinitionError
from onnxserve.scaffold import new_model
from onnxserve_export.acceptance import Acceptance, Basis, claim_of, least_rows, task_of
from onnxserve_export.criterion import measure_name
from onnxserve_export.flip_estimate import mean_rows_needed
from onnxserve_export.significance_levels import FIRST_LEVEL
from onnxserve_export.subset import Row
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.signature import OutputOptions
from onnxserve_handlers.tasks.detection import DetectionOptions
from onnxserve_handlers.tasks.embedding import EmbeddingOptions
from onnxserve_handlers.tasks.multilabel import MultilabelOptions
from onnxserve_handlers.tasks.raw import RawOptions
from onnxserve_handlers.tasks.segmentation import SegmentationOptions
from onnxserve_handlers.tasks.tokens import TokensOptions
from tests import ROOT

ROWS, BUDGET, TRIES = 250, 0.03, 60
LABELS = ("a", "b")
EDGE = 3 * np.sqrt(FIRST_LEVEL / TRIES)


def definition(folder, output: OutputOptions, **quantise: Any) -> Definition:
    base = read_definition(new_model("table", "circle", folder))
    budget = {"max_accuracy_drop": BUDGET} | quantise
    return msgspec.structs.replace(base, output=output, quantise=QuantiseSection(**budget))


def multilabel() -> tuple[OutputOptions, Outputs, Outputs, list[Any]]:
    """Options, outputs that are right, outputs that are wrong in every row, and labels."""
    scores = np.tile(np.array([0.9, 0.1], np.float32), (ROWS, 1))
    options = MultilabelOptions(labels=LABELS, activation="none")
    return options, Outputs(scores=scores), Outputs(scores=scores[:, ::-1]), [["a"]] * ROWS


def detection() -> tuple[OutputOptions, Outputs, Outputs, list[Any]]:
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (ROWS, 1, 1))
    scores, numbers = np.full((ROWS, 1), 0.9, np.float32), np.zeros((ROWS, 1), np.int64)
    right = Outputs(boxes=boxes, scores=scores, numbers=numbers)
    wrong = Outputs(boxes=boxes + np.float32(50), scores=scores, numbers=numbers)
    return DetectionOptions(labels=LABELS), right, wrong, [[{"label": "a", "box": [0, 0, 10, 10]}]] * ROWS


def segmentation() -> tuple[OutputOptions, Outputs, Outputs, list[Any]]:
    mask = np.tile(np.array([[0, 1], [0, 1]]), (ROWS, 1, 1))
    return SegmentationOptions(labels=LABELS), Outputs(mask=mask), Outputs(mask=1 - mask), [[[0, 1], [0, 1]]] * ROWS


CASES = pytest.mark.parametrize("case", [multilabel, detection, segmentation])


def mixed(right: Outputs, wrong: Outputs, flags: np.ndarray) -> Outputs:
    """The wrong outputs in the rows that `flags` names."""
    arrays = {name: right[name].copy() for name in right}
    for name, array in arrays.items():
        array[flags] = wrong[name][flags]
    return Outputs(arrays)


@pytest.mark.parametrize("labelled", [True, False])
@CASES
def test_a_candidate_that_loses_the_whole_budget_is_seldom_accepted(case, labelled, tmp_path):
    options, right, wrong, labels = case()
    rows = [Row(0, label if labelled else None) for label in labels]
    acceptance = Acceptance(definition(tmp_path, options), rows, right, basis=Basis(labelled))
    assert acceptance.criterion.claim == ("accuracy" if labelled else "agreement")
    draws, passes = np.random.default_rng(11), 0
    for _ in range(TRIES):
        candidate = mixed(right, wrong, draws.random(ROWS) < BUDGET)
        passes += not acceptance.verdict(acceptance.compare(candidate))
    assert passes / TRIES <= FIRST_LEVEL + EDGE
    assert acceptance.verdict(acceptance.compare(right)) == ""
    assert acceptance.compare(wrong).drop == pytest.approx(1)


@CASES
def test_a_drop_of_quality_names_what_dropped(case, tmp_path):
    options, right, wrong, labels = case()
    acceptance = Acceptance(definition(tmp_path, options), [Row(0, label) for label in labels], right)
    name = task_for(options).quality_name
    assert acceptance.verdict(acceptance.compare(wrong)).startswith(f"drop of the {name} 100.00%")


def test_a_better_candidate_than_the_source_is_accepted(tmp_path):
    options, right, wrong, labels = detection()
    acceptance = Acceptance(definition(tmp_path, options), [Row(0, label) for label in labels], wrong)
    assert acceptance.compare(right).drop == pytest.approx(-1)
    assert acceptance.verdict(acceptance.compare(right)) == ""


def test_boxes_of_another_number_can_be_compared(tmp_path):
    options, right, _, labels = detection()
    more = Outputs({name: np.concatenate([array, array * 0], axis=1) for name, array in right.items()})
    acceptance = Acceptance(definition(tmp_path, options), [Row(0, label) for label in labels], right)
    assert acceptance.compare(more).drop == pytest.approx(0)
    assert np.isfinite(acceptance.risk(more))


def test_every_output_of_a_raw_graph_counts(tmp_path):
    draws = np.random.default_rng(5)
    source = Outputs(first=draws.normal(size=(ROWS, 2)), second=draws.normal(size=(ROWS, 3)))
    acceptance = Acceptance(definition(tmp_path, RawOptions()), [Row(0, None)] * ROWS, source, basis=Basis(False))
    other = Outputs(first=source["first"], second=-source["second"])
    assert acceptance.compare(other).drop > 0.5
    assert acceptance.damage(other) > 0.5
    assert acceptance.verdict(acceptance.compare(source)) == ""


def test_an_output_that_hardly_changes_has_its_size_as_a_spread(tmp_path):
    source = Outputs(first=np.full((ROWS, 1), 3.0, np.float32))
    acceptance = Acceptance(definition(tmp_path, RawOptions()), [Row(0, None)] * ROWS, source, basis=Basis(False))
    assert acceptance.compare(Outputs(first=source["first"] + np.float32(1e-6))).drop < 0.01


def test_what_labels_say_nothing_of_is_compared_with_the_source(tmp_path):
    vectors = definition(tmp_path / "1", EmbeddingOptions())
    raw = definition(tmp_path / "2", RawOptions())
    boxes = definition(tmp_path / "3", DetectionOptions(labels=LABELS))
    limited = definition(tmp_path / "4", DetectionOptions(labels=LABELS), max_disagreement=0.02)
    assert [claim_of(each, Basis(True)) for each in (vectors, raw, boxes, limited)] == [
        "agreement",
        "agreement",
        "accuracy",
        "agreement",
    ]
    assert [task_of(each) for each in (vectors, raw, boxes)] == ["embedding", "raw", "detection"]
    assert least_rows(boxes, FIRST_LEVEL, Basis()) == mean_rows_needed(BUDGET, FIRST_LEVEL)


def test_the_page_says_how_many_rows_a_mean_wants():
    page = (ROOT / "docs" / "concepts" / "statistics.md").read_text(encoding="utf-8")
    [stated] = re.findall(r"a budget of 0.01 wants some (\d+) certify\s+rows", page)
    assert int(stated) == pytest.approx(mean_rows_needed(0.01, FIRST_LEVEL), rel=0.02)


def test_the_proof_says_what_was_measured():
    hooks = task_for(DetectionOptions(labels=LABELS))
    paired = {"drop": 0.01, "bound": 0.02, "flips": 0.05, "accuracy": 0.9, "reference_accuracy": 0.91}
    names = {claim: measure_name("detection", claim, hooks) for claim in ("accuracy", "agreement")}
    assert describe_loss(paired, "detection", "accuracy", 0.03, names["accuracy"]) == (
        "mean average precision at an overlap of 0.5 90.00% (source 91.00%), at most 2.00% lower, 5.00% of rows change"
    )
    agreement = describe_loss(paired, "detection", "agreement", 0.03, names["agreement"])
    assert agreement == "mean F1 of matched boxes beside the source's answers 90.00%, at least 98.00%"
    summary = {**paired, "task": "detection", "claim": "accuracy", "measure": names["accuracy"], "rows": 500}
    text = " ".join(describe_proof({**summary, "budget": 0.03, "variant": "fp32"}))
    assert "mean average precision at an overlap of 0.5" in text
    assert measure_name("labels", "accuracy", hooks) == ""


def test_vectors_are_compared_as_they_are_pooled(tmp_path):
    tokens = np.ones((ROWS, 200, 4), np.float32)
    turned = tokens.copy()
    turned[:, 0, 2:] = -1
    for options, drop in ((EmbeddingOptions(pooling="cls"), 1.0), (EmbeddingOptions(pooling="last"), 0.0)):
        acceptance = Acceptance(
            definition(tmp_path / options.pooling, options),
            [Row(0, None)] * ROWS,
            Outputs(tokens=tokens),
            basis=Basis(False),
        )
        assert acceptance.compare(Outputs(tokens=turned)).drop == drop


def test_labels_are_compared_by_one_number_for_each_and_nothing_else(tmp_path):
    tags = Outputs(tags=np.zeros((ROWS, 5, 2), np.float32))
    options = TokensOptions(labels=("O", "PER"))
    with pytest.raises(DefinitionError, match="labels are compared by outputs"):
        Acceptance(definition(tmp_path, options, task="labels"), [Row(0, None)] * ROWS, tags, basis=Basis(False))
