"""An automatic canary: steps up while no harm is seen, back when it is, and what was seen on the way."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from onnxserve.gateway import Auto, Canary
from onnxserve.gateway.observations import Observation

from .comparison import Comparison, Harm, new_comparison
from .paired_blocks import PairedBlocks

MOST_POINTS = 1000
# Below this share a canary has less to do than the stable version: what load makes worse speaks for it.
LIGHTER, HALF = 40.0, 50.0
# As many requests as this times the square of those under way pass before a queue forgets how long it was.
FORGETS = 20.0
LEAST_LOADED = 3  # comparisons of speed in a step
LATE = 2  # times the answers that a step takes


class Point(msgspec.Struct, frozen=True):
    """For the record, log of the wealth that was won by bets on each measure at one time."""

    time: float
    percent: float
    seen: int
    evidence: dict[str, float]


class Decision(msgspec.Struct, frozen=True):
    """`wait`, `hold` for a reason, `step` to a percentage, `promote` or `rollback` for some harms."""

    action: str
    percent: float = 0.0
    harms: tuple[Harm, ...] = ()
    reason: str = ""


class Progress(msgspec.Struct):
    """What was seen in one step.

    Answers of the canary, those that were compared, how often the speed was, and the seconds that stable answers took.
    """

    since: float
    seen: int = 0
    compared: int = 0
    loaded: int = 0
    stable_s: float = 0.0

    def under_way(self, now: float) -> float:
        """Requests to the stable version under way on average, by Little's law."""
        return self.stable_s / max(1e-3, now - self.since)


class Rollout(msgspec.Struct, rename={"comparison": "trial"}):
    """One canary's way so far; kept in a file, so that a restart goes on with it. `id` is the canary's."""

    id: str
    model: str
    stable: str
    canary: str
    auto: Auto
    comparison: Comparison
    progress: Progress
    step: int = 0
    seen: tuple[int, int] = (0, 0)  # answers of the stable version, of the canary
    points: list[Point] = []
    ended: str = ""  # by what

    @property
    def percent(self) -> float:
        """The share of this step."""
        return self.auto.steps[self.step]

    def look(self, window: PairedBlocks, answers: Iterable[Observation], now: float) -> bool:
        """Take answers into account that came since the last look; whether there were enough to compare."""
        for answer in answers:
            if answer.model == self.model and answer.version in {self.stable, self.canary}:
                self._see(window, answer)
        even = self.percent >= LIGHTER
        least = FORGETS * self.progress.under_way(now) ** 2 if even else 0.0
        comparisons = window.compare(least)
        self.comparison.take(comparisons, busier=self.percent > HALF)
        for comparison in comparisons:
            self.progress.compared += comparison.answers if comparison.measure == "errors" else 0
            self.progress.loaded += comparison.measure == "slow"
        if comparisons:
            self._mark(now)
        return bool(comparisons)

    def _see(self, window: PairedBlocks, answer: Observation) -> None:
        canary = answer.version == self.canary
        window.see(answer, canary=canary)
        stable_seen, canary_seen = self.seen
        self.seen = (stable_seen + (not canary), canary_seen + canary)
        self.progress.seen += canary
        self.progress.stable_s += 0.0 if canary or not answer.computed else answer.seconds

    def _mark(self, now: float) -> None:
        """Note the evidence; of a long rollout, every second point is kept."""
        if len(self.points) >= MOST_POINTS:
            del self.points[::2]
        self.points.append(Point(now, self.percent, self.seen[1], self.comparison.logs()))

    def decide(self, now: float) -> Decision:
        """What to do now."""
        harms = self.comparison.harms()
        if harms:
            return Decision("rollback", harms=tuple(harms))
        if self.comparison.is_busier():
            return Decision(
                "hold", reason=f"{self.canary} is slower or less available, but has more to do than {self.stable}"
            )
        progress = self.progress
        enough = progress.compared >= self.auto.requests and progress.loaded >= LEAST_LOADED
        if now - progress.since < self.auto.seconds or not enough:
            return self._wait(now)
        if self.step + 1 == len(self.auto.steps):
            return Decision("promote")
        return Decision("step", percent=self.auto.steps[self.step + 1])

    def _wait(self, now: float) -> Decision:
        """For more answers; where those that came can't be compared, say why."""
        progress = self.progress
        if progress.seen < LATE * self.auto.requests or now - progress.since < self.auto.seconds:
            return Decision("wait")
        if progress.compared < self.auto.requests:
            why = f"{self.stable} and {self.canary} have too few computed answers at the same time to be compared"
        else:
            why = "requests wait for each other, so more of them are needed to compare the speed"
        return Decision("hold", reason=why)

    def advance(self, now: float) -> None:
        """Begin the next step."""
        self.step += 1
        self.progress = Progress(now)
        self.comparison.begin()


def start(model: str, stable: str, canary: Canary, auto: Auto, now: float) -> Rollout:
    """The beginning of a rollout, at the step that the canary has reached."""
    comparison = new_comparison(auto.false_alarm, len(auto.steps))
    comparison.begin()
    step = max(0, sum(percent <= canary.percent for percent in auto.steps) - 1)
    return Rollout(canary.id, model, stable, canary.version, auto, comparison, Progress(now), step)
