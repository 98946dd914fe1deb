"""How candidates are compared: bounds that cover, and measures with known values."""

import math

import numpy as np
import pytest

from export.closeness import calibration_error, compare
from export.judge import Judge
from export.paired import (
    bootstrap_bound,
    compare_embeddings,
    compare_labels,
    compare_scores,
    compare_values,
    mcnemar,
    rows_needed,
)
from export.share import Row
from onnxserve.errors import DefinitionError
from onnxserve.scaffold import new_model
from onnxserve.spec import Definition, QuantiseSpec, read_definition

OUTPUTS = np.array([[2.0, 0], [0, 2], [2, 0], [0, 2]], np.float32)


def definition(folder, *, labels=("a", "b"), **quantise) -> Definition:
    made = read_definition(new_model("tabular", "circle", folder))
    return Definition(
        **{field: getattr(made, field) for field in made.__struct_fields__ if field not in ("labels", "quantise")},
        labels=labels,
        quantise=QuantiseSpec(**quantise),
    )


@pytest.mark.parametrize(
    ("wrong", "right", "p"),
    [(0, 0, 1.0), (1, 0, 0.5), (0, 1, 1.0), (5, 0, 1 / 32), (8, 2, 56 / 1024), (2, 8, 1013 / 1024)],
)
def test_mcnemars_p_is_the_binomial_tail(wrong, right, p):
    assert mcnemar(wrong, right) == pytest.approx(p)


def test_a_bootstrap_bound_covers_the_true_mean_in_19_of_20_samples():
    draws = np.random.default_rng(3)
    covered = sum(bootstrap_bound(draws.exponential(1.0, 60), 0.0) >= 1.0 for _ in range(200))
    assert covered / 200 >= 0.88  # the percentile bootstrap is known to be a little short on skewed samples of 60


def test_what_was_never_seen_still_has_a_bound():
    assert bootstrap_bound(np.zeros(300), 1.0) == pytest.approx(0.01)


def test_rows_needed_grow_with_flips_and_with_the_square_of_the_budget():
    assert rows_needed(0.01, 0.02) == 542  # in agreement with the closed form z^2 f / b^2
    assert rows_needed(0.005, 0.02) == 2165


def test_a_perfectly_calibrated_model_has_no_calibration_error_and_a_boastful_one_has():
    # Three of four right at a stated probability of 3/4.
    logits = np.tile([[math.log(3), 0.0]], (400, 1))
    assert calibration_error(logits, np.array([0, 0, 0, 1] * 100)) == pytest.approx(0, abs=1e-9)
    assert calibration_error(logits * 10, np.array([0, 0, 0, 1] * 100)) == pytest.approx(0.25, abs=1e-3)


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
    same = compare_embeddings(vectors, vectors * 5)
    assert same.drop == pytest.approx(0, abs=1e-6)
    assert same.flips == 0
    noisy = compare_embeddings(vectors, vectors + np.random.default_rng(1).normal(size=vectors.shape))
    assert noisy.drop > 0.2
    assert noisy.bound > noisy.drop
    assert noisy.flips > 0.3


def test_regression_reports_the_error_over_the_spread_with_a_bound_above_it():
    reference = np.random.default_rng(0).normal(size=(500, 1))
    found = compare_values(reference, reference + 0.1 * reference.std())
    assert found.drop == pytest.approx(0.1)
    assert found.bound >= found.drop


def test_a_metric_of_the_users_own_decides_by_its_mean(tmp_path):
    made = definition(tmp_path, metric="model.py:within", max_accuracy_drop=0.2)
    source = made.folder / "model.py"
    source.write_text(source.read_text() + "\n\ndef within(outputs, labels):\n    return outputs[:, 0] * 0.5\n")
    judge = Judge(made, [Row(0, "a")] * 4, OUTPUTS)
    paired = judge.compare(OUTPUTS - 0.1)
    assert paired.reference_accuracy == pytest.approx(0.5)
    assert paired.drop == pytest.approx(0.05)
    assert not judge.counts_labels
    assert judge.verdict(paired).startswith("accuracy drop")  # 4 rows can't vouch for 0.2 with a spread of 1


def test_a_metric_of_the_wrong_shape_is_told(tmp_path):
    made = definition(tmp_path, metric="model.py:whole")
    source = made.folder / "model.py"
    source.write_text(source.read_text() + "\n\ndef whole(outputs, labels):\n    return 1.0\n")
    with pytest.raises(DefinitionError, match="for 4 rows"):
        Judge(made, [Row(0, "a")] * 4, OUTPUTS)


def test_a_task_is_what_the_definition_says_or_what_its_labels_mean(tmp_path):
    assert Judge(definition(tmp_path / "1"), [Row(0, "a"), Row(0, "b")] * 2, OUTPUTS).compare(OUTPUTS).accuracy == 1
    assert Judge(definition(tmp_path / "2", labels=()), [Row(0, 1.0)] * 4, OUTPUTS).task == "regression"
    assert Judge(definition(tmp_path / "3", task="embedding"), [Row(0, "a")] * 4, OUTPUTS).task == "embedding"
    with pytest.raises(DefinitionError, match="needs `labels`"):
        Judge(definition(tmp_path / "4", labels=(), task="labels"), [Row(0, 1.0)] * 4, OUTPUTS)


def test_too_few_rows_are_told_with_how_many_would_do(tmp_path):
    judge = Judge(definition(tmp_path, max_accuracy_drop=0.01), [Row(0, "a")] * 4, OUTPUTS)
    paired = compare_labels(np.tile(OUTPUTS, (25, 1)), np.tile(OUTPUTS, (25, 1)), np.zeros(100, int))
    assert "rows would be needed" not in judge.verdict(paired)
    flipped = np.tile(OUTPUTS, (25, 1))
    flipped[[0, 1]] = flipped[[1, 0]]
    found = compare_labels(np.tile(OUTPUTS, (25, 1)), flipped, np.zeros(100, int))
    assert f"{rows_needed(0.01, 0.02)} rows would be needed" in judge.verdict(found)


def test_scores_alike_leave_only_the_bound_of_the_unseen():
    scores = np.array([0.0, 1, 1, 1])
    found = compare_scores(scores, scores)
    assert (found.drop, found.flips) == (0, 0)
    assert found.bound == pytest.approx(0.75)
