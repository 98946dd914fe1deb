"""The ladder of what a busy model gives up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from onnxserve.gateway import Canary, Model, Roles, Share
from onnxserve.gateway.roles import roles_document
from onnxserve.release.brownout import DOWN_AFTER, LEVELS, UP_AFTER, Ladder, Pressure, Rung, levels_of
from onnxserve.release.transitions import describe_changes, set_level, set_smaller

VERSIONS = {"1.0": "a" * 64, "2.0": "b" * 64, "3.0": "c" * 64}


ALL = range(len(LEVELS))


def levels(rung: Rung, level: int, *looks: Pressure, having: Sequence[int] = ALL) -> list[int]:
    reached = []
    for look in looks:
        level = rung.next(level, look, having)
        reached.append(level)
    return reached


def test_a_busy_model_climbs_one_rung_at_a_time_and_no_further_than_the_last():
    reached = levels(Rung(), 0, *[Pressure(0.9, 0)] * (UP_AFTER * 6))
    assert reached[UP_AFTER - 2 : UP_AFTER] == [0, 1]
    assert reached[2 * UP_AFTER - 1] == 2
    assert reached[-1] == 3


def test_refusals_count_as_busy_however_few_are_under_way():
    looks = [Pressure(0.1, count) for count in range(10, 10 + UP_AFTER + 1)]
    assert levels(Rung(), 0, *looks)[-1] == 1


def test_a_calm_model_comes_down_slowly_and_a_short_peak_changes_nothing():
    assert levels(Rung(), 2, *[Pressure(0.1, 5)] * DOWN_AFTER)[-2:] == [2, 1]
    peak = [Pressure(0.9, 0)] * (UP_AFTER - 1) + [Pressure(0.5, 0)] + [Pressure(0.9, 0)] * (UP_AFTER - 1)
    assert levels(Rung(), 0, *peak)[-1] == 0


@pytest.mark.parametrize(
    ("model", "keeps_answers", "levels"),
    [
        (Model(VERSIONS, "1.0"), False, [0]),
        (Model(VERSIONS, "1.0", shadow=Share("2.0", 100)), False, [0, 1]),
        (Model(VERSIONS, "1.0"), True, [0, 2]),
        (Model(VERSIONS, "1.0", smaller="3.0"), False, [0, 3]),
        (Model(VERSIONS, "1.0", shadow=Share("2.0", 100), smaller="3.0"), True, [0, 1, 2, 3]),
    ],
)
def test_a_rung_that_gives_nothing_of_a_model_up_is_none(model, keeps_answers, levels):
    assert levels_of(model, keeps_answers=keeps_answers) == levels


def test_a_busy_model_that_has_nothing_to_give_up_stays_where_it_is_and_keeps_its_route():
    roles = Roles({"demo": Model(VERSIONS, "1.0")})
    ladder = Ladder(lambda _: {"demo": Pressure(1.0, 0)})
    assert [list(ladder.changes(roles)) for _ in range(4 * UP_AFTER)] == [[]] * 4 * UP_AFTER


def test_rungs_that_a_model_has_not_are_passed_both_ways():
    rung = Rung()
    assert levels(rung, 0, *[Pressure(0.9, 0)] * (2 * UP_AFTER), having=(0, 3))[-1] == 3
    assert levels(rung, 3, *[Pressure(0.1, 0)] * DOWN_AFTER, having=(0, 3))[-1] == 0


def test_a_rung_whose_shadow_is_gone_is_left_at_once():
    assert Rung().next(1, Pressure(0.9, 0), [0, 2]) == 0


def test_a_model_on_a_rung_is_routed_by_a_script_which_gets_level_and_smaller_version():
    busy = Model(VERSIONS, "1.0", smaller="3.0", level=3)
    assert roles_document(Roles({"demo": Model(VERSIONS, "1.0", smaller="3.0")}))["routes"]["demo/"] == "1.0"
    document = roles_document(Roles({"demo": busy}))
    assert document["routes"]["demo/"] == "*"
    assert (document["models"]["demo"]["level"], document["models"]["demo"]["smaller"]) == (3, "3.0")


def test_a_smaller_version_takes_no_part_before_it_is_needed():
    roles = set_smaller(Roles({"demo": Model(VERSIONS, "1.0")}), "demo", "3.0")
    assert roles_document(roles)["routes"]["demo/"] == "1.0"
    assert set_smaller(set_level(roles, "demo", 3), "demo", "").models["demo"].level == 0


def test_a_level_leaves_canary_and_shadow_to_come_back_later():
    model = Model(VERSIONS, "1.0", canary=Canary("2.0", 5), shadow=Share("2.0", 100), level=3)
    roles = roles_document(Roles({"demo": model}))["models"]["demo"]
    assert (roles["canary"]["percent"], roles["shadow"]["percent"]) == (5, 100)


def test_the_ladder_is_told_in_words():
    roles = Roles({"demo": Model(VERSIONS, "1.0")})
    assert describe_changes(roles, set_level(roles, "demo", 2)) == [
        "demo level: 0 without nothing -> 2 without fresh answers"
    ]
