"""The rollout of an automatic canary: its share grows step by step until harm is seen or the last step is done."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from onnxserve.gateway import Auto, Canary

from .comparison import Comparison, Harm, new_comparison
from .observations import Observation
from .paired_blocks import PairedBlocks

MOST_POINTS = 1000
# Below this percentage a canary has less load than the stable version, which favours it where load matters.
LIGHTER, HALF = 40.0, 50.0
# A queue's length is forgotten after this many requests times the square of those under way.
FORGETS = 20.0
LEAST_LOADED = 3  # comparisons of speed that a step needs
LATE = 2  # a step is late after this multiple of the answers that it needs


class Point(msgspec.Struct, frozen=True):
    """The state at one time, kept for the record: the log of the wealth that bets on each measure have won."""

    time: float
    percent: float
    seen: int
    log_wealth: dict[str, float] = msgspec.field(name="evidence")  # its name in the records of canaries


class Decision(msgspec.Struct, frozen=True):
    """What to do with a canary.

    `action` is `wait`, `hold` (for `reason`), `step` (to `percent`), `promote` or `rollback` (because of `harms`).
    """

    action: str
    percent: float = 0.0
    harms: tuple[Harm, ...] = ()
    reason: str = ""


class Progress(msgspec.Struct):
    """The data of the current step.

    `seen` counts answers of the canary, `compared` those that were compared, `loaded` comparisons of the speed;
    `stable_s` sums the seconds that answers of the stable version took. `since` is when the step began.
    """

    since: float
    seen: int = 0
    compared: int = 0
    loaded: int = 0
    stable_s: float = 0.0

    def under_way(self, now: float) -> float:
        """Return the average number of requests to the stable version under way.

        Little's law: J. Little, "A proof for the queuing formula L = λW", Operations Research 9 (1961).
        """
        return self.stable_s / max(1e-3, now - self.since)


class Rollout(msgspec.Struct, rename={"comparison": "trial"}):
    """The state of one canary's rollout, kept in a file so that a restart continues it.

    `id` is the canary's. The file calls the comparison `trial`, the name until 0.2.
    """

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
    ended: str = ""  # the action that ended it

    @property
    def percent(self) -> float:
        """The canary's percentage in this step."""
        return self.auto.steps[self.step]

    def look(self, blocks: PairedBlocks, answers: Iterable[Observation], now: float) -> bool:
        """Add the answers since the last look; return whether there were enough to compare."""
        for answer in answers:
            if answer.model == self.model and answer.version in {self.stable, self.canary}:
                self._add(blocks, answer)
        even = self.percent >= LIGHTER
        least = FORGETS * self.progress.under_way(now) ** 2 if even else 0.0
        results = blocks.compare(least)
        self.comparison.take(results, busier=self.percent > HALF)
        for result in results:
            self.progress.compared += result.answers if result.measure == "errors" else 0
            self.progress.loaded += result.measure == "slow"
        if results:
            self._mark(now)
        return bool(results)

    def _add(self, blocks: PairedBlocks, answer: Observation) -> None:
        canary = answer.version == self.canary
        blocks.see(answer, canary=canary)
        stable_seen, canary_seen = self.seen
        self.seen = (stable_seen + (not canary), canary_seen + canary)
        self.progress.seen += canary
        self.progress.stable_s += 0.0 if canary or not answer.computed else answer.seconds

    def _mark(self, now: float) -> None:
        """Record the state; in a long rollout every second point is dropped."""
        if len(self.points) >= MOST_POINTS:
            del self.points[::2]
        self.points.append(Point(now, self.percent, self.seen[1], self.comparison.logs()))

    def decide(self, now: float) -> Decision:
        """Decide what to do now."""
        harms = self.comparison.harms()
        if harms:
            return Decision("rollback", harms=tuple(harms))
        if self.comparison.is_busier():
            return Decision(
                "hold", reason=f"{self.canary} is slower or less available, but has more load than {self.stable}"
            )
        progress = self.progress
        enough = progress.compared >= self.auto.requests and progress.loaded >= LEAST_LOADED
        if now - progress.since < self.auto.seconds or not enough:
            return self._wait(now)
        if self.step + 1 == len(self.auto.steps):
            return Decision("promote")
        return Decision("step", percent=self.auto.steps[self.step + 1])

    def _wait(self, now: float) -> Decision:
        """Wait for more answers, or hold with a reason if those that came can't be compared."""
        progress = self.progress
        if progress.seen < LATE * self.auto.requests or now - progress.since < self.auto.seconds:
            return Decision("wait")
        if progress.compared < self.auto.requests:
            reason = f"{self.stable} and {self.canary} gave too few computed answers at the same time to be compared"
        else:
            reason = "requests wait for each other, so the speed can be compared only with more of them"
        return Decision("hold", reason=reason)

    def advance(self, now: float) -> None:
        """Begin the next step."""
        self.step += 1
        self.progress = Progress(now)
        self.comparison.begin()


def start(model: str, stable: str, canary: Canary, auto: Auto, now: float) -> Rollout:
    """Begin a rollout at the step that the canary has reached."""
    comparison = new_comparison(auto.false_alarm, len(auto.steps))
    comparison.begin()
    step = max(0, sum(percent <= canary.percent for percent in auto.steps) - 1)
    return Rollout(canary.id, model, stable, canary.version, auto, comparison, Progress(now), step)
