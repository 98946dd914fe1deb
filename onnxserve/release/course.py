"""An automatic canary: steps up while no harm is seen, back when it is, and what was seen on the way."""

from __future__ import annotations

import msgspec

from onnxserve.gateway import Auto, Canary
from onnxserve.gateway.observations import Observation

from .trial import MEASURES, Harm, Trial, begin


class Point(msgspec.Struct, frozen=True):
    """The bounds of each measure at one time, for the record: (stable low, high, canary low, high)."""

    time: float
    percent: float
    seen: int
    bounds: dict[str, tuple[float, float, float, float]]


class Course(msgspec.Struct):
    """One canary's way so far; kept in a file, so that a restart goes on with it."""

    model: str
    stable: str
    canary: str
    auto: Auto
    trial: Trial
    step: int = 0
    since: float = 0.0
    seen_before: int = 0  # of the canary, when the step began
    points: list[Point] = []
    ended: str = ""  # by what

    def see(self, one: Observation) -> None:
        """Take one answer into account, if it is of this model and of one of the two."""
        if one.model == self.model and one.version in {self.stable, self.canary}:
            self.trial.see(one, canary=one.version == self.canary)

    def mark(self, now: float) -> None:
        """Note where the bounds are."""
        bounds = {}
        for name in MEASURES:
            stable, canary = self.trial.stable.measures[name], self.trial.canary.measures[name]
            bounds[name] = (stable.low, stable.high, canary.low, canary.high)
        self.points.append(Point(now, self.auto.steps[self.step], self.trial.canary.seen, bounds))

    def decide(self, now: float) -> Decision:
        """What to do now."""
        harms = self.trial.harms()
        if harms:
            return Decision("rollback", harms=tuple(harms))
        enough = self.trial.canary.seen - self.seen_before >= self.auto.requests
        if not enough or now - self.since < self.auto.seconds:
            return Decision("wait")
        if self.step + 1 == len(self.auto.steps):
            return Decision("promote")
        return Decision("step", percent=self.auto.steps[self.step + 1])

    def advance(self, now: float) -> None:
        """Begin the next step."""
        self.step += 1
        self.since, self.seen_before = now, self.trial.canary.seen


class Decision(msgspec.Struct, frozen=True):
    """`wait`, `step` to a percentage, `promote` or `rollback` for some harms."""

    action: str
    percent: float = 0.0
    harms: tuple[Harm, ...] = ()


def start(model: str, stable: str, canary: Canary, auto: Auto, now: float) -> Course:
    """The beginning of a course."""
    return Course(model, stable, canary.version, auto, begin(auto.false_alarm), since=now)
