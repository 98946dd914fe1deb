"""Distances of counts, and a test of them that raises alarms at the stated rate, related rows in requests or not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxserve_handlers.telemetry.drift import FALSE_ALARM, LEAST_REQUESTS, WINDOW_ROWS
from onnxserve_handlers.telemetry.drift_window import (
    bins_of,
    chi_squared_tail,
    design_effect,
    distances,
    group_starts,
    p_value,
)


@pytest.mark.parametrize(
    ("x", "freedom", "tail"),
    # Critical values as in the usual tables.
    [
        (3.841459, 1, 0.05),
        (5.991465, 2, 0.05),
        (7.814728, 3, 0.05),
        (18.30704, 10, 0.05),
        (16.91898, 9, 0.05),
        (0, 4, 1),
    ],
)
def test_the_tail_of_chi_squared_is_as_in_the_tables(x, freedom, tail):
    assert chi_squared_tail(x, freedom) == pytest.approx(tail, rel=1e-5)


def test_distances_are_nothing_for_the_same_and_large_for_others():
    same, other = np.array([10, 20, 30]), np.array([30, 20, 10])
    assert distances(same, 2 * same) == pytest.approx({"psi": 0, "js": 0, "ks": 0}, abs=1e-12)
    distance = distances(same, other)
    assert distance["ks"] == pytest.approx(1 / 3)
    assert distance["psi"] == pytest.approx((1 / 2 - 1 / 6) * math.log(3) * 2)
    assert 0 < distance["js"] < 1
    assert distances(np.array([1, 0]), np.array([0, 1]))["js"] == pytest.approx(1, abs=1e-4)


def test_windows_of_the_profiles_population_raise_alarms_no_more_often_than_stated():
    # 20,000 windows of three measures, each with a profile of its own. The stated rate of 0.1 % expects at most 20
    # alarms; 36 or more would happen once in a thousand runs.
    draw, raised, measures, windows = np.random.default_rng(1), 0, 3, 20_000
    shares = [np.full(10, 0.1), np.array([0.6, 0.3, 0.08, 0.02]), draw.dirichlet(np.ones(10))]
    for _ in range(windows):
        least = min(p_value(draw.multinomial(1000, share), draw.multinomial(WINDOW_ROWS, share)) for share in shares)
        raised += least * measures < FALSE_ALARM
    assert raised < 36


def test_rare_bins_alone_raise_no_alarm():
    assert p_value(np.array([1000, 1000, 1]), np.array([100, 100, 1])) > 0.05
    assert p_value(np.array([1000]), np.array([5])) == 1.0


def copies(draw: np.random.Generator, shares: list[float], rows: int, requests: int) -> np.ndarray:
    """Return the counts of requests that draw a label each for all of their rows, shape (requests, labels)."""
    return rows * np.eye(len(shares))[draw.choice(len(shares), requests, p=shares)]


@pytest.mark.parametrize("proven", [400, 5000])
@pytest.mark.parametrize("shares", [[0.99, 0.01], [0.9, 0.09, 0.01], [0.75, 0.25], [0.7, 0.2, 0.08, 0.015, 0.005]])
def test_few_requests_of_copies_raise_no_alarm_for_labels_that_none_of_them_drew(shares, proven):
    draw = np.random.default_rng(9)
    p_values = [p_value(draw.multinomial(proven, shares), copies(draw, shares, 40, LEAST_REQUESTS)) for _ in range(500)]
    assert sum(p < FALSE_ALARM for p in p_values) <= 3  # 0.5 are expected at most


def test_few_requests_of_copies_raise_an_alarm_for_a_label_that_is_new_or_much_more_frequent():
    draw, proven = np.random.default_rng(10), [[360, 40, 0], [4500, 500, 0]]
    for reference in map(np.array, proven):
        assert p_value(reference, copies(draw, [0, 0, 1], 40, LEAST_REQUESTS)) < FALSE_ALARM
        assert p_value(reference, copies(draw, [0, 1, 0], 40, LEAST_REQUESTS)) < FALSE_ALARM


def test_a_measure_that_only_one_request_has_raises_no_alarm():
    assert p_value(np.array([500, 500]), np.array([[0, 300], [0, 0]])) == 1.0


def test_bins_join_the_next_until_enough_requests_are_expected():
    assert group_starts(np.array([9.0, 1, 7, 2, 2, 6, 1])) == [0, 1, 3]
    assert group_starts(np.array([8.0, 8.0])) == [0, 1]
    assert group_starts(np.array([1.0, 1])) == [0]


BINS = 10


def binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the counts of values, shape (requests, rows), in bins, shape (requests, bins)."""
    return np.array([np.bincount(bins_of(row, edges), minlength=BINS) for row in values])


def alarms(rows: int, alike: float, shift: float, windows: int, proven: int) -> tuple[int, int]:
    """Return how many windows of requests raise an alarm, and how many would if their rows were taken as independent.

    `rows` are a request's, of whose variance `alike` is common to them.
    """
    draw, raised, naive = np.random.default_rng(int(100 * alike) + rows), 0, 0
    for _ in range(windows):
        reference = draw.normal(size=proven)
        edges = np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1])
        counts, requests = binned(reference[None], edges)[0], max(LEAST_REQUESTS, WINDOW_ROWS // rows)
        common = draw.normal(0, math.sqrt(alike), (requests, 1))
        table = binned(common + draw.normal(shift, math.sqrt(1 - alike), (requests, rows)), edges)
        raised += p_value(counts, table) < FALSE_ALARM
        naive += p_value(counts, table.sum(axis=0)) < FALSE_ALARM
    return raised, naive


@pytest.mark.parametrize("proven", [400, 5000])
@pytest.mark.parametrize(("rows", "alike"), [(1, 0.0), (8, 0.3), (64, 0.0), (64, 0.3), (100, 0.9)])
def test_requests_of_related_rows_raise_alarms_no_more_often_than_stated(rows, alike, proven):
    raised, _ = alarms(rows, alike, 0.0, 200, proven)
    assert raised <= 2  # 0.2 are expected at most; more than two would happen once in a thousand runs


def test_taking_related_rows_for_independent_ones_would_raise_many_alarms():
    """Else the tests above could not fail."""
    assert alarms(64, 0.3, 0.0, 100, 5000)[1] > 20


@pytest.mark.parametrize(("rows", "alike"), [(1, 0.0), (8, 0.3), (64, 0.0)])
def test_a_shift_is_seen_through_requests_of_many_rows(rows, alike):
    assert alarms(rows, alike, 0.3, 50, 5000)[0] >= 48


def test_rows_of_requests_that_are_all_alike_count_as_themselves_and_copies_as_one():
    draw = np.random.default_rng(8)
    single = np.eye(BINS)[draw.integers(0, BINS, 400)]
    assert design_effect(single) == 1
    assert design_effect(5 * single) == pytest.approx(5, rel=0.4)
    assert design_effect(np.tile([10, 20, 30], (30, 1))) == 1
    assert design_effect(np.zeros((3, 2))) == design_effect(np.ones((1, 4))) == 1
