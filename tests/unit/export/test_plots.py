"""The plots of a report."""

import pytest

from onnxserve_export.plots import pareto, sensitivity_bars

DAMAGE = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 0.5}


def variant(name: str, bound: float, refusal: str = "") -> dict[str, object]:
    return {"variant": name, "select": {"bound": 1.0}, "paired": {"bound": bound}, "megabytes": 1.0, "refusal": refusal}


def test_the_faster_lies_to_the_right_and_the_worse_above_the_budget():
    drawn = pareto([variant("good", 0.005), variant("bad", 0.5, "no")], {"torch": 4.0, "good": 2.0, "bad": 1.0}, 0.01)
    assert drawn
    good, bad = drawn.points
    assert good.x < bad.x
    assert good.y > drawn.budget_y > bad.y
    assert (good.speedup, bad.speedup, bad.passed) == (2.0, 4.0, False)
    assert pareto([variant("good", 0.1)], {}, 0.01) is None


def test_the_most_damaging_node_has_the_longest_bar():
    rows = sensitivity_bars({"damage": DAMAGE}, ["a"])
    assert [name for name, *_ in rows] == ["a", "c", "b", "d"]
    assert rows[0][2] == pytest.approx(1.0)
    assert [kept for *_, kept in rows] == [True, False, False, False]
    assert sensitivity_bars(None, []) == []
