"""How an automatic canary is judged: blocks of answers at the same time, steps, and what takes a version back."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import msgspec
import pytest

from benchmarks import ROOT
from benchmarks.canary import DRIFTS, HARMS, PAIRS, Traffic, simulate
from onnxserve.disk import replace_file
from onnxserve.gateway import Auto, Canary
from onnxserve.release.controller import read_rollouts, rollout_path
from onnxserve.release.observations import Observation
from onnxserve.release.paired_blocks import PairedBlocks
from onnxserve.release.rollout import Decision, Rollout, start
from onnxserve.release.shadows import Pairs, Report

AUTO = Auto((5.0, 50.0), requests=300, seconds=10, false_alarm=0.05)
ALWAYS = Auto((50.0,), requests=10**6, seconds=0)


def answer(version: str, status: int = 200, seconds: float = 0.01, label: str = "a", score: float = 0.9) -> Observation:
    predictions = msgspec.json.encode([{"label": label, "score": score}]).decode()
    return Observation("p", "r", "demo", version, status, seconds, "miss", predictions)


def fresh(auto: Auto = AUTO) -> Rollout:
    return start("demo", "1.0", Canary("2.0", auto.steps[0], auto=auto, id="x"), auto, 0.0)


def looks(rollout: Rollout, *answers: Observation, count: int = 20, begin: float = 0.0) -> Decision:
    """Looks, one a second, at the same answers; what is decided after the last one or as soon as it isn't to wait."""
    blocks = PairedBlocks()
    for second in range(1, count + 1):
        rollout.look(blocks, answers, begin + second)
        decision = rollout.decide(begin + second)
        if decision.action != "wait":
            break
    return decision


def statuses(version: str, good: int, bad: int, status: int) -> list[Observation]:
    return [answer(version)] * good + [answer(version, status)] * bad


@pytest.mark.parametrize("drift", list(DRIFTS))
def test_a_version_that_does_not_differ_is_hardly_ever_taken_back_whatever_drifts(drift):
    answers_until_harm = simulate(DRIFTS[drift], lambda now: now, runs=400, blocks=300, seed=5)
    assert sum(answers is not None for answers in answers_until_harm) <= 4 + 6  # 1 % of 400, and three times its error


HARMFUL = ["all fail", "5 % more fail", "2 % more fail", "20 % slower", "50 % slower"]
OTHER_LABEL = "5 % have the other label instead of the usual one"


def found_within(harm: str, answers: int) -> int:
    """Of 100 versions that do this harm, those that are taken back within so many answers."""
    times = simulate(lambda _: Traffic(), HARMS[harm], runs=100, blocks=answers // PAIRS, seed=6)
    return sum(taken is not None for taken in times)


@pytest.mark.parametrize("harm", [*HARMFUL, OTHER_LABEL])
def test_nine_tenths_of_harmful_versions_are_found_within_the_answers_that_the_results_state(harm):
    results = (ROOT / "docs" / "results" / "canaries.md").read_text(encoding="utf-8")
    [answers] = re.findall(rf"^\| {harm} \|.*\| ([\d,]+) \|$", results, re.MULTILINE)
    assert found_within(harm, int(answers.replace(",", ""))) >= 90 - 9  # three times the simulation's error


@pytest.mark.parametrize("harm", ["all fail", "5 % more fail"])
def test_a_canary_of_the_default_length_finds_the_harm_that_the_guide_says_it_finds(harm):
    assert found_within(harm, 4 * 200) >= 90 - 9


def test_a_ramp_on_which_the_labels_drift_takes_back_no_version_that_does_not_differ():
    """Requests of 40 clients a second, sent to the versions by lot: the usual label's share falls from 0.7 to 0.5."""
    auto, taken = Auto((5.0, 25.0, 50.0), requests=10**6, seconds=0, false_alarm=0.01), 0
    usual, other = answer("1.0", label="a"), answer("1.0", label="b")
    for seed in range(10):
        rng, rollout, blocks = random.Random(seed), fresh(auto), PairedBlocks()
        for second in range(1, 181):
            if second in {61, 121}:
                rollout.advance(float(second))
                blocks = PairedBlocks()
            versions = ["2.0" if rng.random() * 100 < rollout.percent else "1.0" for _ in range(40)]
            labels = [usual if rng.random() < 0.7 - 0.2 * second / 180 else other for _ in versions]
            sent = [
                msgspec.structs.replace(observation, version=version)
                for observation, version in zip(labels, versions, strict=True)
            ]
            rollout.look(blocks, sent, float(second))
        taken += rollout.decide(180.0).action == "rollback"
    assert taken == 0


def queues(seed: int, clients: int, slower: float = 1.0) -> Iterator[tuple[float, list[Observation]]]:
    """Two versions with a queue each and 20 ms an answer, half of the requests each; answers by second.

    The clients never pause. Whichever queue is long stays long for many seconds.
    """
    rng, now = random.Random(seed), 0.0
    waiting: tuple[list[float], list[float]] = ([0.0] * clients, [])
    finish_times = [0.02, 1e9]
    answers: list[Observation] = []
    for second in range(1, 241):
        while min(finish_times) < second:
            which = finish_times.index(min(finish_times))
            now = finish_times[which]
            seconds = now - waiting[which].pop(0)
            answers.append(Observation("", "", "demo", f"{which + 1}.0", 200, seconds, "miss"))
            other = rng.random() < 0.5
            waiting[other].append(now)
            for queue in {which, int(other)}:
                if queue == which or len(waiting[queue]) == 1:
                    time = rng.lognormvariate(0, 0.3) / 50 * (slower if queue else 1)
                    finish_times[queue] = now + time if waiting[queue] else 1e9
        yield float(second), answers
        answers = []


def judged(rollout: Rollout, seconds: Iterator[tuple[float, list[Observation]]]) -> Decision:
    blocks = PairedBlocks()
    for now, answers in seconds:
        rollout.look(blocks, answers, now)
        decision = rollout.decide(now)
        if decision.action == "rollback":
            break
    return decision


def test_at_saturation_a_version_that_does_not_differ_is_not_slow():
    actions = [judged(fresh(ALWAYS), queues(seed, clients)).action for clients in (8, 32) for seed in range(4)]
    assert "rollback" not in actions


def test_at_saturation_a_slower_version_is_found():
    decision = judged(fresh(ALWAYS), queues(3, 8, slower=1.5))
    assert [harm.measure for harm in decision.harms] == ["slow"]


@pytest.mark.parametrize(
    ("measure", "harmful"),
    [
        ("errors", answer("2.0", 500)),
        ("unavailable", answer("2.0", 503)),
        ("refused", answer("2.0", 422)),
        ("slow", answer("2.0", seconds=0.03)),
        ("slow", answer("2.0", 499, seconds=9.0)),
        ("label", answer("2.0", label="b")),
        ("score", answer("2.0", score=0.5)),
    ],
)
def test_each_kind_of_harm_is_seen_and_named(measure, harmful):
    decision = looks(fresh(), answer("1.0"), answer("1.0"), harmful, harmful)
    assert (decision.action, decision.harms[0].measure) == ("rollback", measure)
    assert str(decision.harms[0]).startswith(f"{measure}: canary ")


def test_a_version_that_refuses_what_the_stable_one_takes_is_taken_back():
    both = [*statuses("1.0", 10, 0, 422), *statuses("2.0", 0, 10, 422)]
    decision = looks(fresh(Auto((50.0,), requests=100, seconds=0)), *both, count=100)
    assert (decision.action, [harm.measure for harm in decision.harms]) == ("rollback", ["refused"])


@pytest.mark.parametrize("status", [422, 500])
def test_what_both_versions_refuse_or_fail_is_no_harm(status):
    both = [*statuses("1.0", 3, 3, status), *statuses("2.0", 3, 3, status)]
    assert looks(fresh(ALWAYS), *both, count=100).action == "wait"


def test_requests_that_the_gateway_refused_say_nothing_of_a_version():
    limited = [answer("2.0", 429)] * 20
    assert looks(fresh(ALWAYS), answer("1.0"), answer("2.0"), *limited, count=100).action == "wait"


def test_a_version_that_is_better_is_not_taken_back_for_it():
    both = [*statuses("1.0", 2, 2, 500), answer("2.0", seconds=0.001), answer("2.0", seconds=0.001)]
    assert looks(fresh(ALWAYS), *both, count=200).action == "wait"


def test_a_version_that_is_slower_by_less_than_what_is_tolerated_is_not_taken_back():
    both = [answer("1.0", seconds=0.1), answer("1.0", seconds=0.1), *[answer("2.0", seconds=0.109)] * 2]
    assert looks(fresh(ALWAYS), *both, count=200).action == "wait"


def test_harm_that_begins_in_a_later_step_is_seen_though_the_canary_was_faster_before():
    rollout = fresh(Auto((5.0, 50.0), requests=100, seconds=0))
    faster = [*[answer("1.0")] * 8, *[answer("2.0", seconds=0.005)] * 8]
    assert looks(rollout, *faster, count=400).action == "step"
    rollout.advance(400.0)
    slow = [*[answer("1.0")] * 8, *[answer("2.0", seconds=0.05)] * 8]
    assert [harm.measure for harm in looks(rollout, *slow, begin=400.0).harms] == ["slow"]


def test_a_canary_with_more_to_do_is_held_when_it_is_slower_and_not_taken_back():
    slower = [*[answer("1.0")] * 2, *[answer("2.0", seconds=0.05)] * 18]
    decision = looks(fresh(Auto((90.0,), requests=10, seconds=30)), *slower, count=60)
    assert (decision.action, decision.harms) == ("hold", ())
    assert "has more load" in decision.reason


def test_answers_without_a_stable_one_beside_them_hold_the_canary_and_say_so():
    decision = looks(fresh(Auto((50.0,), requests=100, seconds=0)), *[answer("2.0")] * 20, count=60)
    assert decision.action == "hold"
    assert "too few computed answers at the same time" in decision.reason


def test_a_step_takes_its_answers_and_its_time_and_the_last_one_promotes():
    rollout, both = fresh(), [*[answer("1.0")] * 40, *[answer("2.0")] * 40]
    decision = looks(rollout, *both)
    assert (decision.action, decision.percent, rollout.progress.compared) == ("step", 50.0, 400)
    rollout.advance(10.0)
    assert looks(rollout, *both, count=5, begin=10.0).action == "wait"
    assert looks(rollout, *both, begin=15.0).action == "promote"


def test_a_course_begins_at_the_step_that_its_canary_has_reached():
    assert [start("demo", "1.0", Canary("2.0", percent), AUTO, 0.0).step for percent in (1.0, 5.0, 50.0)] == [0, 0, 1]


def test_answers_of_others_of_the_cache_and_after_a_failed_try_are_no_evidence_of_speed():
    replace = msgspec.structs.replace
    slow = answer("2.0", seconds=9.0)
    others = [
        replace(slow, model="another"),
        replace(slow, version="3.0"),
        replace(slow, cache="HIT"),
        replace(slow, failed="2.0 500"),
    ]
    rollout = fresh(ALWAYS)
    assert looks(rollout, answer("1.0"), *others, count=50).action == "wait"
    assert rollout.comparison.measures["slow"].total.answers == 0


def test_a_course_survives_in_a_file():
    rollout = fresh()
    looks(rollout, answer("1.0"), answer("2.0", label="b"), count=5)
    assert rollout.points
    assert msgspec.json.decode(msgspec.json.encode(rollout), type=Rollout) == rollout


def test_the_points_of_a_long_course_are_bounded(monkeypatch):
    monkeypatch.setattr("onnxserve.release.rollout.MOST_POINTS", 10)
    rollout = fresh(ALWAYS)
    looks(rollout, answer("1.0"), answer("2.0"), count=100)
    assert len(rollout.points) <= 10
    assert rollout.points[-1].seen == 100


def test_pairs_are_joined_whatever_comes_first_and_disagreements_keep_their_input():
    report, pairs = Report("demo", "1.0", "2.0"), Pairs()

    def see(pair: str, version: str, **fields: object) -> None:
        observation = msgspec.structs.replace(answer(version), pair=pair, request_id=f"id-{pair}", **fields)
        pairs.see(report, observation)

    see("x", "1.0")
    see("y", "2.0", summary='[{"label": "b", "score": 0.9}]', rows="[[1,2]]")
    see("x", "2.0", summary='[{"label": "a", "score": 0.5}]')
    see("y", "1.0")
    see("z", "1.0")
    see("z", "2.0", status=500, summary="")
    assert (report.pairs, report.disagreements, report.shifted, report.failed) == (3, 2, 1, 1)
    assert [(case.request_id, case.stable, case.shadow) for case in report.cases] == [
        ("id-y", ["a"], ["b"]),
        ("id-z", ["a"], []),
    ]
    assert report.cases[0].rows == "[[1,2]]"


def test_a_rollout_that_an_older_version_recorded_goes_on(tmp_path):
    rollout = fresh()
    looks(rollout, answer("1.0"), answer("2.0", label="b"), count=5)
    assert read_rollouts(tmp_path) == []
    former = rollout_path(tmp_path, rollout.model, rollout.canary).with_suffix(".course")
    replace_file(former, msgspec.json.encode(rollout))
    recorded = former.read_bytes()
    assert all(name in recorded for name in (b'"trial":', b'"evidence":'))
    assert not any(name in recorded for name in (b'"wealth":', b'"log_wealth":'))
    assert read_rollouts(tmp_path) == [rollout]
    assert not former.exists()
    assert read_rollouts(tmp_path) == [rollout]
