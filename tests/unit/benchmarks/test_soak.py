"""The soak's arithmetic: what grows steadily is told from what settles or swings."""

from __future__ import annotations

import random

import pytest

from benchmarks.soak import judged, slope


def points(growth: float, noise: float = 1.0) -> list[tuple[float, float]]:
    """Half an hour of samples of 200 MiB that grow by so much an hour."""
    draws = random.Random(7)
    return [(at, 200 + growth * at / 3600 + draws.gauss(0, noise)) for at in range(0, 1800, 5)]


def test_a_slope_is_found_through_noise_and_outliers():
    noisy = points(60.0)
    noisy[200] = (noisy[200][0], 2000.0)
    middle, low, high = slope(noisy)
    assert middle == pytest.approx(60, rel=0.05)
    assert low < 60 < high


@pytest.mark.parametrize(("growth", "flat"), [(0.0, True), (10.0, True), (120.0, False), (-50.0, True)])
def test_what_grows_by_more_than_a_tenth_an_hour_fails(growth, flat):
    row, is_flat = judged("part", points(growth, noise=0.2), 30)
    assert is_flat == flat
    assert ("flat" in row) == flat
