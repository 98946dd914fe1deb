"""How candidates are compared: bounds that cover, and measures with known values."""

import math
import re

import numpy as np
import pytest

from onnxserve.definition import Definition, QuantiseSection, read_definition
from onnxserve.errors import DefinitionError
from onnxserve.scaffold import new_model
from onnxserve_export.acceptance import Acceptance
from onnxserve_export.binomial import share_bound
from onnxserve_export.flip_estimate import rows_needed, share_rows_needed
from onnxserve_export.output_similarity import calibration_error, compare
from onnxserve_export.paired_statistics import (
    compare_errors,
    compare_labels,
    compare_scores,
    mcnemar,
    nearest_differ,
    spread_of,
    target_errors,
    value_errors,
    value_spreads,
    vector_errors,
)
from onnxserve_export.significance_levels import FIRST_LEVEL
from onnxserve_export.subset import Row
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.tasks.classification import ClassificationOptions
from onnxserve_handlers.tasks.regression import RegressionOptions
from tests import ROOT
from tests.helpers.acceptance import most_wrong

OUTPUTS = np.array([[2.0, 0], [0, 2], [2, 0], [0, 2]], np.float32)
SOURCE = Outputs(logits=OUTPUTS)


def definition(folder, *, labels=("a", "b"), **quantise) -> Definition:
    model = read_definition(new_model("table", "circle", folder))
    return Definition(
        **{field: getattr(model, field) for field in model.__struct_fields__ if field not in ("output", "quantise")},
        output=ClassificationOptions(labels=labels) if labels else RegressionOptions(),
        quantise=QuantiseSection(**quantise),
    )


@pytest.mark.parametrize(
    ("wrong", "right", "p"),
    [(0, 0, 1.0), (1, 0, 0.5), (0, 1, 1.0), (5, 0, 1 / 32), (8, 2, 56 / 1024), (2, 8, 1013 / 1024)],
)
def test_mcnemars_p_is_the_binomial_tail(wrong, right, p):
    assert mcnemar(wrong, right) == pytest.approx(p)


# The table of docs/concepts/statistics.md: rows by budget, and share of labels that change.
NEEDED = {
    (0.02, 0.0): 161,
    (0.02, 0.02): 472,
    (0.01, 0.0): 323,
    (0.01, 0.005): 565,
    (0.01, 0.02): 1480,
    (0.005, 0.0): 650,
    (0.005, 0.02): 5590,
}


@pytest.mark.parametrize(("case", "rows"), NEEDED.items())
def test_a_variant_without_loss_is_accepted_four_times_of_five_with_the_rows_that_the_documents_name(case, rows):
    budget, flips = case
    assert rows_needed(budget, flips) == pytest.approx(rows, rel=0.02)
    draws = np.random.default_rng(11)
    wrong, right, _ = draws.multinomial(rows, [flips / 2, flips / 2, 1 - flips], 2000).T
    most = most_wrong(rows, budget, FIRST_LEVEL, range(right.min(), right.max() + 1))
    assert np.mean(wrong <= most[right - right.min()]) > 0.76


def test_more_rows_than_are_looked_up_are_estimated():
    assert rows_needed(0.001, 0.02) == pytest.approx((1.751 + 0.842) ** 2 * 0.02 / 0.001**2, rel=0.01)
    assert rows_needed(0.0, 0.02) == 0
    assert share_rows_needed(0.01, 0.0) == pytest.approx(math.log(FIRST_LEVEL) / math.log(0.99), abs=2)
    assert share_rows_needed(0.01, 0.005) > share_rows_needed(0.01, 0.002) > 400
    assert share_rows_needed(0.01, 0.02) == 0


def test_a_perfectly_calibrated_model_has_no_calibration_error_and_a_boastful_one_has():
    # Three of four right at a stated probability of 3/4.
    logits = np.tile([[math.log(3), 0.0]], (400, 1))
    assert calibration_error(logits, np.array([0, 0, 0, 1] * 100), "softmax") == pytest.approx(0, abs=1e-9)
    assert calibration_error(logits * 10, np.array([0, 0, 0, 1] * 100), "softmax") == pytest.approx(0.25, abs=1e-3)


def test_closeness_tells_direction_size_and_calibration_apart():
    same = compare(OUTPUTS, 3 * OUTPUTS, None)
    assert [same.cosine, same.worst_cosine] == pytest.approx([1, 1])
    assert same.max_error == pytest.approx(4)
    assert same.calibration_error is None
    turned = compare(OUTPUTS, OUTPUTS[:, ::-1], np.array([0, 1, 0, 1]))
    assert turned.worst_cosine == pytest.approx(0)
    assert turned.calibration_error
    assert turned.reference_calibration_error is not None
    assert turned.calibration_error > turned.reference_calibration_error


def test_embeddings_are_compared_by_direction_and_by_nearest_neighbour():
    vectors = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    assert compare_errors(vector_errors(vectors, vectors * 5), 0.03).drop == 0
    assert not nearest_differ(vectors, vectors * 5).any()
    noisy = vectors + 0.25 * np.random.default_rng(1).normal(size=vectors.shape)
    paired = compare_errors(vector_errors(vectors, noisy), 0.03)
    assert 0.2 < paired.drop < paired.bound < 1
    assert nearest_differ(vectors, noisy).mean() > 0.1
    assert vector_errors(vectors, vectors[:, ::-1]) == pytest.approx(1 - np.diag(cosines(vectors, vectors[:, ::-1])))


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (left, right))
    first, second = units
    return np.asarray(first @ second.T)


def test_regression_counts_rows_that_lie_further_from_torch_than_the_tolerance_of_the_spread():
    reference = np.random.default_rng(0).normal(size=(500, 1)) * 1e-7
    spread = spread_of(reference)
    assert spread == pytest.approx(reference.std())
    errors = value_errors(reference, reference + 0.02 * spread, spread)
    assert errors == pytest.approx(0.02)
    assert compare_errors(errors, 0.03).drop == 0
    assert compare_errors(errors, 0.01).drop == 1


@pytest.mark.parametrize("error", [1e-6, 0.02, 1e6])
def test_rows_that_were_not_seen_to_move_have_a_bound_that_does_not_shrink_with_the_errors_that_were(error):
    errors = np.full(300, 0.0)
    errors[0] = error
    paired = compare_errors(errors, 0.03)
    assert paired.bound == pytest.approx(share_bound(int(error > 0.03), 300, FIRST_LEVEL))
    assert paired.bound > 0.01


@pytest.mark.parametrize("rare", [0.01, 0.003])
def test_a_candidate_that_ruins_rare_rows_is_accepted_no_more_often_than_allowed(rare):
    draws = np.random.default_rng(4)
    accepted = sum(
        compare_errors(np.where(draws.random(400) < rare, 1e9, 1e-9), 0.03).bound <= rare for _ in range(500)
    )
    assert accepted / 500 <= FIRST_LEVEL + 3 * math.sqrt(FIRST_LEVEL / 500)


def test_outputs_that_never_change_have_their_size_as_scale():
    assert spread_of(np.full((5, 2), 3.0)) == 3
    assert spread_of(np.zeros((5, 2))) == 1


def test_each_value_has_a_spread_of_its_own():
    draws = np.random.default_rng(3)
    values = draws.normal(size=(500, 5)) * [1e6, 1, 1e-9, 0, 0] + [0, 1e9, 0, 7, 0]
    spreads = value_spreads(values)
    assert spreads[[0, 2]] == pytest.approx(values.std(axis=0)[[0, 2]])
    assert spreads[1] == pytest.approx(2.0**-12 * 1e9)  # float32 has no more digits
    assert spreads[3] == 7  # it never changes
    assert 0 < spreads[4] < np.abs(values).max()
    assert value_spreads(np.zeros((5, 2))).tolist() == [1, 1]
    errors = target_errors(values, values + 0.5 * spreads, spreads)
    assert errors == pytest.approx(0.5)
    assert target_errors(values, values + 2.0, np.array([4.0])) == pytest.approx(0.5)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_target_is_not_hidden_by_others_of_another_size(tmp_path, wrong):
    """The variant gets one target of three wrong, in the whole budget of rows; with one spread it was never seen."""
    draws, rows, budget, tries, passes = np.random.default_rng(5), 400, 0.03, 300, 0
    source = (draws.normal(size=(rows, 3)) * [1e6, 1, 1e-6]).astype(np.float32)
    other = source.copy()
    other[:, wrong] *= -1
    acceptance = Acceptance(
        definition(tmp_path, labels=(), max_accuracy_drop=budget), [Row(0, None)] * rows, Outputs(values=source)
    )
    for _ in range(tries):
        flags = draws.random(rows) < budget
        paired = acceptance.compare(Outputs(values=np.where(flags[:, None], other, source)))
        passes += not acceptance.verdict(paired)
    assert passes / tries <= FIRST_LEVEL + 3 * math.sqrt(FIRST_LEVEL / tries)
    whole = acceptance.compare(Outputs(values=other))
    assert whole.drop > 0.9
    assert acceptance.verdict(whole).startswith("rows that move beyond the tolerance")
    assert acceptance.verdict(acceptance.compare(Outputs(values=source))) == ""
    assert acceptance.risk(Outputs(values=other)) > 0.9
    if wrong:
        one_spread = value_errors(source, other, spread_of(source))
        assert compare_errors(one_spread, 0.03).drop == 0


def test_outputs_without_a_list_of_values_have_one_spread(tmp_path):
    images = np.random.default_rng(6).normal(size=(50, 4, 4)).astype(np.float32)
    acceptance = Acceptance(definition(tmp_path, labels=()), [Row(0, None)] * 50, Outputs(values=images))
    assert acceptance.criterion.spreads.shape == (1,)
    assert acceptance.compare(Outputs(values=images + 0.02)).drop == 0


def test_a_metric_of_the_users_own_decides_by_its_mean(tmp_path):
    model = definition(tmp_path, metric="model.py:within", max_accuracy_drop=0.2)
    source = model.folder / "model.py"
    source.write_text(source.read_text() + "\n\ndef within(outputs, labels):\n    return outputs[:, 0] * 0.25 + 0.5\n")
    acceptance = Acceptance(model, [Row(0, "a")] * 4, SOURCE)
    paired = acceptance.compare(Outputs(logits=OUTPUTS - 0.1))
    assert paired.reference_accuracy == pytest.approx(0.75)
    assert paired.drop == pytest.approx(0.025)
    assert acceptance.verdict(paired).startswith("drop of the metric")  # 4 rows can't vouch for 0.2 of a range of 1


def test_a_metric_outside_its_range_is_told(tmp_path):
    model = definition(tmp_path, metric="model.py:wide", metric_range=(0.0, 10.0))
    source = model.folder / "model.py"
    source.write_text(source.read_text() + "\n\ndef wide(outputs, labels):\n    return outputs[:, 0] * 10\n")
    with pytest.raises(DefinitionError, match=r"gives 20 for row 0, outside 0 to 10") as caught:
        Acceptance(model, [Row(0, "a")] * 4, SOURCE)
    assert caught.value.where == "quantise.metric_range"


def test_a_metric_of_the_wrong_shape_is_told(tmp_path):
    model = definition(tmp_path, metric="model.py:whole")
    source = model.folder / "model.py"
    source.write_text(source.read_text() + "\n\ndef whole(outputs, labels):\n    return 1.0\n")
    with pytest.raises(DefinitionError, match="for 4 rows"):
        Acceptance(model, [Row(0, "a")] * 4, SOURCE)


def test_a_task_is_what_the_definition_says_or_what_its_labels_mean(tmp_path):
    assert Acceptance(definition(tmp_path / "1"), [Row(0, "a"), Row(0, "b")] * 2, SOURCE).compare(SOURCE).accuracy == 1
    assert Acceptance(definition(tmp_path / "2", labels=()), [Row(0, 1.0)] * 4, SOURCE).criterion.task == "regression"
    assert (
        Acceptance(definition(tmp_path / "3", task="embedding"), [Row(0, "a")] * 4, SOURCE).criterion.task
        == "embedding"
    )
    with pytest.raises(DefinitionError, match="needs `labels`"):
        Acceptance(definition(tmp_path / "4", labels=(), task="labels"), [Row(0, 1.0)] * 4, SOURCE)


def test_too_few_rows_are_told_with_how_many_would_do(tmp_path):
    acceptance = Acceptance(definition(tmp_path, max_accuracy_drop=0.01), [Row(0, "a")] * 4, SOURCE)
    same = np.tile(OUTPUTS, (25, 1))
    paired = compare_labels(same, same, np.zeros(100, int))
    assert f"about {rows_needed(0.01, 0.0)} rows would be needed" in acceptance.verdict(paired)
    flipped = same.copy()
    flipped[[0, 1]] = flipped[[1, 0]]
    changed = compare_labels(same, flipped, np.zeros(100, int))
    assert f"about {rows_needed(0.01, 0.02)} rows would be needed" in acceptance.verdict(changed)
    assert "95 % bound" in acceptance.verdict(compare_labels(same, same, np.zeros(100, int), level=0.05))
    assert "rows would be needed" not in acceptance.verdict(compare_labels(same, same[:, ::-1], same.argmax(-1)))


def test_scores_alike_leave_only_the_bound_of_the_unseen():
    scores = np.tile([0.0, 1, 1, 1], 100)
    paired = compare_scores(scores, scores, 1.0)
    assert (paired.drop, paired.flips) == (0, 0)
    assert 0.01 > paired.bound / 2 > 0.001
    assert compare_scores(scores * 10, scores * 10, 10.0).bound == pytest.approx(10 * paired.bound)


def test_the_documents_table_of_rows_is_what_the_bound_needs():
    page = (ROOT / "docs" / "concepts" / "statistics.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([\d.]+) points? \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert len(table) == 4
    for points, *cells in table:
        named = [int(cell.replace(",", "")) for cell in cells]
        needed = [rows_needed(float(points) / 100, flips) for flips in (0.0, 0.005, 0.02, 0.05)]
        assert needed == pytest.approx(named, rel=0.02)


@pytest.mark.parametrize("task", ["regression", "embedding"])
def test_values_and_vectors_are_judged_by_how_many_move(task, tmp_path):
    draws = np.random.default_rng(2)
    torch = draws.normal(size=(400, 8)).astype(np.float32)
    acceptance = Acceptance(definition(tmp_path, labels=(), task=task), [Row(0, None)] * 400, Outputs(values=torch))
    near, far = Outputs(values=torch + 1e-4), Outputs(values=torch.copy())
    far["values"][:6] *= -1
    assert acceptance.verdict(acceptance.compare(near)) == ""
    assert acceptance.risk(near) < 1e-6 < acceptance.risk(far)
    assert acceptance.likely_bound(near, 400, 0.5) < 0.01 < acceptance.likely_bound(far, 400, 0.5)
    assert acceptance.verdict(acceptance.compare(far)).startswith(
        "rows that move beyond the tolerance 1.50%, 96 % bound"
    )
    far["values"][2:6] *= -1
    assert "about" in acceptance.verdict(acceptance.compare(far))
