"""The plots of a report."""

from itertools import pairwise
from typing import Any

import pytest

from onnxserve_export.plots import Scale, loss_plot, sensitivity_bars, speed_plot

DAMAGE = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 0.5}
SUMMARY = {"budget": 0.01, "variant": "good", "source": "torch"}


def variant(name: str, bound: float, refusal: str = "", **paired: float) -> dict[str, Any]:
    return {
        "variant": name,
        "select": None,
        "paired": {"drop": 0.0, "bound": bound, "flips": 0.0, **paired},
        "refusal": refusal,
    }


def timed(variant: str, batch: int, ms: float, threads: int = 2) -> dict[str, Any]:
    return {"variant": variant, "batch": batch, "threads": threads, "ms": ms}


def test_a_variant_that_loses_more_lies_further_right_and_the_budget_between():
    plot = loss_plot([variant("good", 0.005, flips=0.004), variant("bad", 0.02, "no")], SUMMARY)
    assert plot
    good, bad = plot.losses
    assert (good.outcome, bad.outcome, bad.is_beyond) == ("chosen", "refused", False)
    assert plot.scale.place(good.bound) < plot.scale.place(plot.budget) < plot.scale.place(bad.bound) < 100
    assert plot.scale.place(good.drop) == 0


def test_a_gain_lies_left_of_zero_and_a_bound_far_beyond_the_budget_at_the_edge():
    plot = loss_plot([variant("good", 0.005, drop=-0.003), variant("bad", 0.9, "no")], SUMMARY)
    assert plot
    good, bad = plot.losses
    assert 0 <= plot.scale.place(good.drop) < plot.scale.place(0.0)
    assert plot.scale.place(bad.bound) == 100
    assert (good.is_beyond, bad.is_beyond) == (False, True)


def test_the_select_rows_stand_for_a_variant_that_was_not_certified():
    paired = {"drop": 0.001, "bound": 0.03, "flips": 0.02}
    result = {"variant": "fast", "select": paired, "paired": None, "refusal": "not tried"}
    plot = loss_plot([result], SUMMARY)
    assert plot
    assert (plot.losses[0].is_certified, plot.losses[0].changed) == (False, 0.02)


def test_there_is_no_plot_without_rows_and_none_without_times():
    untried = {"variant": "w4", "select": None, "paired": None, "refusal": "it can't be made"}
    assert loss_plot([untried], SUMMARY) is None
    assert loss_plot([], SUMMARY) is None
    assert speed_plot({"summary": SUMMARY, "variants": []}) is None


def test_times_are_of_a_whole_batch_on_the_threads_that_serve_and_the_slowest_comes_first():
    timings = [timed("good", 8, 0.5), timed("torch", 8, 2.0), timed("good", 1, 0.7), timed("good", 8, 9.0, threads=1)]
    document = {"summary": SUMMARY, "variants": [variant("good", 0.0)], "timings": timings}
    plot = speed_plot({**document, "served": {"threads": 2, "batch": 8}})
    assert plot
    assert [(each.variant, each.batch, each.alone, each.ratio) for each in plot.speeds] == [
        ("torch", 16.0, None, None),
        ("good", 4.0, 0.7, 4.0),
    ]
    assert plot.scale.place(plot.speeds[0].batch) == 100
    assert [each.outcome for each in plot.speeds] == ["source", "chosen"]


def test_a_batch_of_one_row_has_no_second_time():
    document = {"summary": SUMMARY, "variants": [variant("good", 0.0)], "timings": [timed("good", 1, 0.5)]}
    plot = speed_plot({**document, "served": {"threads": 2, "batch": 1}})
    assert plot
    assert [(each.batch, each.alone, each.ratio) for each in plot.speeds] == [(0.5, None, None)]


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.024), (-0.004, 0.011), (0.0, 39.6), (0.0, 1e-4)])
def test_an_axis_has_a_few_round_values_within_it(low, high):
    marks = Scale(low, high).marks()
    assert 3 <= len(marks) <= 6
    assert all(low - 1e-12 <= mark <= high + 1e-12 for mark in marks)
    steps = [later - earlier for earlier, later in pairwise(marks)]
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert f"{steps[0]:e}"[0] in "125"


def test_the_most_damaging_node_has_the_longest_bar():
    rows = sensitivity_bars({"damage": DAMAGE}, ["a"])
    assert [name for name, *_ in rows] == ["a", "c", "b", "d"]
    assert rows[0][2] == pytest.approx(1.0)
    assert [kept for *_, kept in rows] == [True, False, False, False]
    assert sensitivity_bars(None, []) == []
