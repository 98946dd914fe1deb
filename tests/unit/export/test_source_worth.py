"""A source that labels call useless is refused, and one that is only few rows', rare labels' or bad luck's isn't."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve.definition import QuantiseSection, read_definition
from onnxserve.errors import CheckFailed
from onnxserve.scaffold import new_model
from onnxserve_export.acceptance import Acceptance, Basis
from onnxserve_export.source_worth import check_worth, is_worse, tells_labels
from onnxserve_export.subset import Row
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.signature import OutputOptions
from onnxserve_handlers.tasks.classification import ClassificationOptions
from onnxserve_handlers.tasks.detection import DetectionOptions
from onnxserve_handlers.tasks.rerank import RerankOptions

LABELS = ("usual", "rare", "rarer")


@pytest.fixture
def judge(tmp_path):
    base = read_definition(new_model("table", "circle", tmp_path))

    def acceptance(output: OutputOptions, source: Outputs, rows: list[Row], *, ranks: bool = False) -> Acceptance:
        definition = msgspec.structs.replace(base, output=output, quantise=QuantiseSection(max_accuracy_drop=0.02))
        return Acceptance(definition, rows, source, basis=Basis(ranks=ranks, queries=ranks))

    return acceptance


def classified(judge: Any, answers: Any, truth: Any) -> Acceptance:
    logits = np.eye(len(LABELS), dtype=np.float32)[np.asarray(answers)]
    rows = [Row(number, LABELS[label]) for number, label in enumerate(truth)]
    acceptance: Acceptance = judge(ClassificationOptions(labels=LABELS), Outputs(logits=logits), rows)
    return acceptance


@pytest.mark.parametrize("rows", [1, 2, 5, 20, 120])
def test_one_error_among_rows_of_one_label_says_nothing(judge, rows):
    check_worth(classified(judge, [1] + [0] * (rows - 1), [0] * rows), "torch")


def test_a_model_that_finds_rare_labels_at_the_price_of_accuracy_is_taken(judge):
    truth = np.zeros(1200, int)
    truth[:12] = 1
    answers = np.zeros(1200, int)
    answers[:11] = answers[100:160] = 1  # 11 of 12 found, and 60 false alarms: a constant is right more often
    assert is_worse(answers, truth, 0, 1e-3)
    check_worth(classified(judge, answers, truth), "torch")


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (1, 2, 0)])
def test_labels_in_another_order_are_told_whatever_their_shares(order):
    draws = np.random.default_rng(5)
    truth = draws.choice(3, 800, p=(0.4, 0.35, 0.25))
    answers = np.where(draws.random(800) < 0.9, truth, draws.integers(0, 3, 800))
    assert tells_labels(answers, truth, 0)
    assert not tells_labels(np.array(order)[answers], truth, 0)


def test_answers_that_have_nothing_to_do_with_the_labels_are_refused(judge):
    draws = np.random.default_rng(6)
    truth, answers = draws.choice(3, 400, p=(0.8, 0.1, 0.1)), draws.integers(0, 3, 400)
    with pytest.raises(CheckFailed, match="as always answering 'usual' would"):
        check_worth(classified(judge, answers, truth), "torch")


@pytest.mark.parametrize(("rows", "is_refused"), [(3, False), (40, True)])
def test_a_mean_score_of_nothing_counts_where_rows_are_not_few(judge, rows, is_refused):
    box = np.tile(np.array([[0, 0, 10, 10]], np.float32), (rows, 1, 1))
    outputs = Outputs(boxes=box, scores=np.full((rows, 1), 0.9, np.float32), numbers=np.zeros((rows, 1), int))
    missed = [Row(number, [{"label": "usual", "box": [50, 50, 60, 60]}]) for number in range(rows)]
    acceptance = judge(DetectionOptions(labels=LABELS), outputs, missed)
    if not is_refused:
        check_worth(acceptance, "torch")
        return
    with pytest.raises(CheckFailed, match="rows without labels"):
        check_worth(acceptance, "torch")


def test_a_reranker_that_puts_irrelevant_documents_first_is_refused(judge):
    grades = np.tile([1.0, 0.0, 0.0, 0.0], 100)
    rows = [Row([f"query {number // 4}", f"document {number}"], grade) for number, grade in enumerate(grades)]
    noise = np.random.default_rng(7).normal(size=400)
    scores = {"right": grades * 2 + noise, "equal": np.zeros(400), "noise": noise, "reversed": -grades * 2 + noise}
    judges = {
        name: judge(RerankOptions(), Outputs(score=values[:, None].astype(np.float32)), rows, ranks=True)
        for name, values in scores.items()
    }
    for name in ("right", "equal", "noise"):
        check_worth(judges[name], "torch")
    with pytest.raises(CheckFailed, match=r"torch's mean nDCG at 10 is .*as equal scores for all would have"):
        check_worth(judges["reversed"], "torch")
