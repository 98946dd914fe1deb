"""Estimates of flips, moves and drops on other rows are near the truth."""

import numpy as np
import pytest

from onnxserve_export.drop_bound import drop_bound
from onnxserve_export.flip_estimate import (
    expected_flips,
    expected_moves,
    likely_counts,
    likely_drop,
    likely_mean,
    likely_share,
)


def test_flips_are_foreseen_from_gaps_and_errors_better_than_counted_on_few_rows():
    draws = np.random.default_rng(5)
    many = draws.normal(size=(40_000, 3)) * 4
    noisy = many + draws.normal(size=many.shape) * 0.1
    true = float(np.mean(many.argmax(-1) != noisy.argmax(-1)))
    parts = [slice(start, start + 200) for start in range(0, 40_000, 200)]
    expected = [expected_flips(many[part], noisy[part]) for part in parts]
    counted = [float(np.mean(many[part].argmax(-1) != noisy[part].argmax(-1))) for part in parts]
    assert np.mean(expected) == pytest.approx(true, rel=0.15)
    assert np.std(expected) < 0.7 * np.std(counted)
    assert expected_flips(many, many) == 0


@pytest.mark.parametrize("chance", [0.5, 2 / 3, 0.9])
def test_a_likely_result_or_a_better_one_comes_as_often_as_said(chance):
    draws = np.random.default_rng(6)
    flips, rows = 0.02, 1000
    wrong, right = likely_counts(flips, rows, chance)
    allowed = drop_bound(wrong, right, rows, 0.04)
    counts = draws.multinomial(rows, [flips / 2, flips / 2, 1 - flips], 400).tolist()
    kept = sum(drop_bound(wrong, right, rows, 0.04) <= allowed + 1e-9 for wrong, right, _ in counts)
    assert chance - 0.08 < kept / 400 < chance + 0.12


def test_a_drop_on_the_select_rows_is_foreseen_as_one():
    assert likely_drop(0.3, 800, 0.04, 0.5, drop=0.2) > 0.2 > likely_drop(0.3, 800, 0.04, 0.5)


def test_moves_are_foreseen_from_the_size_of_errors_and_heavy_tails_from_their_count():
    draws = np.random.default_rng(7)
    errors = np.abs(draws.normal(size=20_000)) * 0.015
    true = float(np.mean(errors > 0.03))
    assert expected_moves(errors[:2000], 0.03) == pytest.approx(true, rel=0.3)
    heavy = np.where(draws.random(2000) < 0.05, 10.0, 0.0)
    assert expected_moves(heavy, 0.03) >= 0.02
    assert expected_moves(np.zeros(10), 0.03) == 0


def test_a_mean_is_foreseen_to_be_bounded_closer_by_more_rows():
    drops = np.random.default_rng(8).normal(0, 0.05, 200)
    assert likely_mean(drops, 1.0, 400, 0.04, 0.5) > likely_mean(drops, 1.0, 4000, 0.04, 0.5)
    assert likely_mean(drops, 1.0, 400, 0.04, 0.9) > likely_mean(drops, 1.0, 400, 0.04, 0.5)
    assert likely_share(0.01, 400, 0.04, 0.9) > likely_share(0.01, 400, 0.04, 0.5) > 0.01
