"""An automatic canary's judgement: bounds that hold at every moment, steps, and what takes a version back."""

from __future__ import annotations

import random

import msgspec
import pytest

from onnxserve.gateway import Auto, Canary
from onnxserve.gateway.observations import Observation
from onnxserve.release.course import Course, start
from onnxserve.release.sequential import Bounds
from onnxserve.release.shadows import Pairs, Report

AUTO = Auto((5.0, 50.0), requests=300, seconds=10, false_alarm=0.05)


def answer(version: str, status: int = 200, seconds: float = 0.01, label: str = "a", score: float = 0.9) -> Observation:
    said = msgspec.json.encode([{"label": label, "score": score}]).decode()
    return Observation("p", "r", "demo", version, status, seconds, "miss", said)


def drawn(rng: random.Random, version: str, **harm: float) -> Observation:
    """An answer as the stable version gives it, but for the shares in `harm`."""
    status = 500 if rng.random() < harm.get("errors", 0.01) else 200
    seconds = rng.gauss(0.01, 0.001) * (3 if rng.random() < harm.get("slow", 0.01) else 1)
    label = "a" if rng.random() < 0.6 - harm.get("flips", 0.0) else "b"
    score = min(1.0, max(0.0, rng.gauss(0.8 - harm.get("shift", 0.0), 0.1)))
    return answer(version, status, seconds, label, score)


def run(course: Course, rng: random.Random, answers: int, **harm: float) -> int | None:
    """Answers of the canary until harm is seen; None when it isn't."""
    for number in range(1, answers + 1):
        course.see(drawn(rng, "1.0"))
        course.see(drawn(rng, "2.0", **harm))
        if course.trial.harms():
            return number
    return None


def fresh() -> Course:
    return start("demo", "1.0", Canary("2.0", 5, auto=AUTO), AUTO, 0.0)


def test_the_bounds_hold_at_every_moment_in_nearly_all_runs():
    rng, missed = random.Random(1), 0
    for _ in range(200):
        bounds = Bounds(0.1)
        for _ in range(500):
            bounds.add(float(rng.random() < 0.1))
        missed += not bounds.low <= 0.1 <= bounds.high
    assert missed <= 20  # a tenth is allowed
    assert bounds.high - bounds.low < 0.15


def test_a_canary_that_is_like_the_stable_version_is_hardly_ever_accused():
    accused = sum(run(fresh(), random.Random(seed), 1_500) is not None for seed in range(40))
    assert accused <= 2  # 5 % of 40


@pytest.mark.parametrize(
    ("measure", "harm"),
    [
        ("errors", {"errors": 0.2}),
        ("slow", {"slow": 0.5}),
        ("label", {"flips": 0.3}),
        ("score", {"shift": 0.2}),
    ],
)
def test_each_kind_of_harm_is_seen_and_named(measure, harm):
    course = fresh()
    seen = run(course, random.Random(7), 3_000, **harm)
    assert seen is not None
    decision = course.decide(1e9)
    assert (decision.action, decision.harms[0].measure) == ("rollback", measure)
    assert "canary" in str(decision.harms[0])


def test_a_version_that_is_better_is_not_accused_of_fewer_errors():
    course = fresh()
    for _ in range(2_000):
        course.see(answer("1.0", 500))
        course.see(answer("1.0"))
        course.see(answer("2.0"))
    assert [harm.measure for harm in course.trial.harms()] == []


def test_a_step_takes_its_answers_and_its_time_and_the_last_one_promotes():
    course = fresh()
    for _ in range(300):
        course.see(answer("1.0"))
        course.see(answer("2.0"))
    assert course.decide(9.0).action == "wait"
    decision = course.decide(10.0)
    assert (decision.action, decision.percent) == ("step", 50.0)
    course.advance(10.0)
    assert course.decide(100.0).action == "wait"
    for _ in range(300):
        course.see(answer("2.0"))
    assert course.decide(100.0).action == "promote"


def test_answers_of_others_and_of_the_cache_are_no_evidence_of_speed():
    course = fresh()
    course.see(msgspec.structs.replace(answer("2.0"), model="another"))
    course.see(answer("3.0"))
    assert course.trial.canary.seen == 0
    for _ in range(300):
        course.see(answer("1.0"))
        course.see(msgspec.structs.replace(answer("2.0", seconds=9.0), cache="HIT"))
    assert course.trial.canary.measures["slow"].count == 0


def test_a_course_survives_in_a_file():
    course = fresh()
    run(course, random.Random(3), 250)
    course.mark(5.0)
    assert msgspec.json.decode(msgspec.json.encode(course), type=Course) == course


def test_pairs_are_joined_whatever_comes_first_and_disagreements_keep_their_input():
    report, pairs = Report("demo", "1.0", "2.0"), Pairs()

    def see(pair: str, version: str, **fields: object) -> None:
        one = msgspec.structs.replace(answer(version), pair=pair, request_id=f"id-{pair}", **fields)
        pairs.see(report, one)

    see("x", "1.0")
    see("y", "2.0", said='[{"label": "b", "score": 0.9}]', body="WzEsIDJd")
    see("x", "2.0", said='[{"label": "a", "score": 0.5}]')
    see("y", "1.0", body="WzEsIDJd")
    see("z", "1.0")
    see("z", "2.0", status=500, said="")
    assert (report.pairs, report.disagreements, report.shifted, report.failed) == (3, 2, 1, 1)
    assert [(case.request_id, case.stable, case.shadow) for case in report.cases] == [
        ("id-y", ["a"], ["b"]),
        ("id-z", ["a"], []),
    ]
    assert report.cases[0].body == "[1, 2]"
