"""Live rows against the archive's profile: distances, and an alarm at a stated rate; and how sure an accuracy is."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from export.profile import measure, profile
from handlers import drift as drifts
from handlers.drift import Drift, Measure, Profile, chi_squared_tail, counted, distances, p_value
from onnxserve.monitor.accuracy import wilson


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
    found = distances(same, other)
    assert found["ks"] == pytest.approx(1 / 3)
    assert found["psi"] == pytest.approx((1 / 2 - 1 / 6) * math.log(3) * 2)
    assert 0 < found["js"] < 1
    assert distances(np.array([1, 0]), np.array([0, 1]))["js"] == pytest.approx(1, abs=1e-4)


def test_bins_hold_about_as_many_rows_each_and_few_values_get_one_each():
    even = measure(np.arange(1000.0))
    assert even["counts"] == [100] * 10
    few = measure(np.array([0.0, 0, 1, 1, 1, 5]))
    assert (few["edges"], few["counts"]) == ([0.5, 3.0], [2, 3, 1])
    assert counted(np.array([-9.0, 0.5, 99]), np.array([0.5, 3.0])).tolist() == [1, 1, 1]


class Rows:
    """A handler whose rows are their own measures."""

    def measures(self, rows):
        return {"x": np.array(rows)}


def watched(draw, windows: int, shift: float = 0.0) -> int:
    """How many of the windows raise an alarm."""
    reference = np.random.default_rng(0).normal(size=5000)
    made = profile({"x": reference}, np.array([[1.0, 0.0]] * 4000 + [[0.0, 1.0]] * 1000), ["a", "b"])
    found: list[float] = []
    watch = Drift(msgspec.convert(made, Profile), lambda *_: None, found.append, now=iter(range(10**9)).__next__)
    for _ in range(windows):
        rows = draw.normal(shift, 1, drifts.WINDOW_ROWS)
        labels = draw.random(drifts.WINDOW_ROWS) < 0.8
        predictions = [{"label": "a" if one else "b"} for one in labels]
        watch.see(list(rows), predictions, Rows())
    assert len(found) == windows
    return sum(p < 0.05 for p in found)


def test_unshifted_rows_raise_alarms_no_more_often_than_stated():
    # At 5 % for a quick test of the rate: of 400 windows at most 20 are expected, 33 are five in a thousand.
    assert watched(np.random.default_rng(1), 400) <= 33


def test_shifted_rows_raise_an_alarm_in_every_window():
    assert watched(np.random.default_rng(2), 20, shift=0.2) == 20


def test_rare_bins_alone_raise_no_alarm():
    assert p_value(np.array([1000, 1000, 1]), np.array([100, 100, 1])) > 0.05
    assert p_value(np.array([1000]), np.array([5])) == 1.0


def test_batches_are_passed_over_when_many_come():
    now = [1.0]
    one = Drift(Profile(10, {"x": Measure((0.0,), (5, 5))}), lambda *_: None, lambda _: None, now=lambda: now[0])
    assert one.due()
    one.see([1.0], [], Rows())
    assert not one.due()
    now[0] += drifts.GAP_S
    assert one.due()


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    # All or nothing of n: z2 / (n + z2) is the other end.
    [(40, 50, 0.6696, 0.8876), (0, 10, 0.0, 3.841459 / 13.841459), (10, 10, 1 - 3.841459 / 13.841459, 1.0)],
)
def test_the_interval_of_a_share_is_wilsons(right, rows, low, high):
    assert wilson(right, rows) == pytest.approx((low, high), abs=5e-5)
