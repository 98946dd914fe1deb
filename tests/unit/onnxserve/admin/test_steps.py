"""Plans and steps of operators, which are those of `onnxserve release`."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from onnxserve.admin.steps import AcceptedStep, Step, apply, plan
from onnxserve.errors import ReleaseError
from onnxserve.gateway import Canary
from onnxserve.release import ReleaseService, transitions
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.releases import release

CANARY = Step("canary", "demo", "2.0", 5)


def accept(steps: ReleaseService, step: Step) -> list[str]:
    """Plan a step, take it, and return what changed."""
    planned = plan(steps, step)["changes"]
    changes: list[str] = apply(steps, AcceptedStep(step, tuple(planned)))["changes"]
    assert changes == planned
    return changes


def test_what_was_planned_is_done_step_by_step(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    assert accept(steps, CANARY) == ["demo canary: none -> 2.0 at 5 %"]
    assert accept(steps, Step("rollback", "demo")) == ["demo canary: 2.0 at 5 % -> none"]
    assert accept(steps, Step("promote", "demo", "2.0"))[0] == "demo stable: 1.0 -> 2.0"
    assert accept(steps, Step("rollback", "demo"))[0] == "demo stable: 2.0 -> 1.0"
    assert [event.action for event in steps.history.events("demo")] == ["canary", "rollback", "promote", "rollback"]


def test_a_plan_changes_nothing_and_says_what_happens_if_something_fails(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    lines = plan(steps, CANARY)["on_failure"]
    assert lines[0] == "If 2.0 fails to answer a request, 1.0 answers it instead."
    assert "until you promote it or roll back" in lines[1]
    assert "1.0 stays loaded" in plan(steps, Step("promote", "demo", "2.0"))["on_failure"][0]
    assert steps.role_store.roles.models["demo"].canary is None
    assert steps.history.events("demo") == []
    steps.canary("demo", Canary("2.0", 5))
    assert plan(steps, Step("rollback", "demo"))["on_failure"] == [
        "All requests that name no version go to 1.0 at once; that waits for nothing."
    ]


def test_a_plan_that_holds_no_longer_is_not_carried_out(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0", "3.0"]))
    planned = tuple(plan(steps, CANARY)["changes"])
    steps.canary("demo", Canary("3.0", 50))
    with pytest.raises(ReleaseError, match="the roles changed"):
        apply(steps, AcceptedStep(CANARY, planned))
    canary = steps.role_store.roles.models["demo"].canary
    assert canary is not None
    assert (canary.version, canary.percent) == ("3.0", 50)


def test_a_step_that_comes_between_the_check_of_a_plan_and_the_step_is_not_lost(tmp_path, monkeypatch):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0", "3.0"]))
    planned = tuple(plan(steps, CANARY)["changes"])
    prepare, others = ReleaseService._prepare, [Canary("3.0", 50)]

    def meet_another_operator(*roles: Any) -> None:
        prepare(*roles)
        if others:
            steps.role_store.move(partial(transitions.set_canary, name="demo", share=others.pop()))

    monkeypatch.setattr(ReleaseService, "_prepare", meet_another_operator)
    with pytest.raises(ReleaseError, match="the roles changed"):
        apply(steps, AcceptedStep(CANARY, planned))
    canary = steps.role_store.roles.models["demo"].canary
    assert canary is not None
    assert (canary.version, canary.percent) == ("3.0", 50)


def test_the_rollback_of_a_canary_that_has_ended_meanwhile_does_not_replace_the_stable_version(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0", "3.0"]))
    steps.promote("demo", "2.0")
    steps.canary("demo", Canary("3.0", 5))
    step = Step("rollback", "demo")
    planned = tuple(plan(steps, step)["changes"])
    steps.rollback("demo")  # as the controller does
    with pytest.raises(ReleaseError, match="the roles changed"):
        apply(steps, AcceptedStep(step, planned))
    assert steps.role_store.roles.models["demo"].stable == "2.0"


def test_a_version_that_is_not_ready_gets_no_traffic_from_the_console_either(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"], unready={"2.0"}))
    planned = tuple(plan(steps, CANARY)["changes"])
    with pytest.raises(ReleaseError, match="is not ready"):
        apply(steps, AcceptedStep(CANARY, planned))
    assert steps.role_store.roles.models["demo"].canary is None


def test_an_automatic_canary_says_what_chance_takes_it_back(tmp_path):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    planned = plan(steps, Step("canary", "demo", "2.0", auto=True))
    assert planned["changes"] == ["demo canary: none -> 2.0 at 1 %, automatic"]
    assert "The chance that a harmless version is taken back is at most 1%." in planned["on_failure"]


def test_a_full_disk_keeps_the_step_and_warns(tmp_path, monkeypatch):
    steps = release(tmp_path, FakeTorchServe(["1.0", "2.0"]))
    monkeypatch.setattr("onnxserve.release.history.append", refuse)
    planned = tuple(plan(steps, CANARY)["changes"])
    assert "the history can't be written" in apply(steps, AcceptedStep(CANARY, planned))["warning"]
    assert steps.role_store.roles.models["demo"].canary is not None


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")
