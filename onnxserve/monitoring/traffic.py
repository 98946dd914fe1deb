"""The traffic of each version in the last hour, in short steps, for the console's charts."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Sequence

import msgspec

STEP_S, STEPS = 5.0, 720  # an hour
QUANTILES = (0.5, 0.9, 0.99)
MOST_VERSIONS = 1000
FAILED = "500"  # the least status of a failure
Version = tuple[str, str]


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One step of one version: `step` counts steps since 1970; latencies are in seconds, None without an answer.

    `answers` has all requests, `failed` those answered with 5xx, `refused` those refused with 429 or as overloaded.
    Latencies leave out the refused ones.
    """

    step: int
    answers: int
    failed: int
    refused: int
    p50: float | None
    p90: float | None
    p99: float | None


class Step:
    """The requests of one version within the step under way."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers = self.failed = self.refused = 0
        self.seconds: collections.Counter[float] = collections.Counter()

    def point(self) -> Point:
        """Return the finished step."""
        return Point(self.number, self.answers, self.failed, self.refused, *quantiles(self.seconds, QUANTILES))


class Traffic:
    """The finished steps of every version, and the step under way."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._current: dict[Version, Step] = {}
        self._points: dict[Version, collections.deque[Point]] = {}

    def add(self, version: Version, code: str, seconds: float, count: int, *, refused: bool) -> None:
        """Add `count` predictions with the same status and latency; they count in the step of this moment."""
        now = self._step()
        step = self._current.get(version)
        if step is None or step.number != now:
            if step is None and len(self._current) >= MOST_VERSIONS:
                self._forget_idle(now)
                if len(self._current) >= MOST_VERSIONS:
                    return
            self._finish(version, step)
            step = self._current[version] = Step(now)
        step.answers += count
        if refused:
            step.refused += count
        else:
            step.failed += count if code >= FAILED else 0
            step.seconds[seconds] += count

    def document(self, since: int = 0) -> bytes:
        """Return the finished steps after number `since`, as JSON; steps without a request are left out.

        `step_s` is the length of a step [s] and `last` the number of the last finished one.
        """
        now = self._step()
        for version, step in self._current.items():
            if step.number < now and step.answers:
                self._finish(version, step)
                self._current[version] = Step(now)
        first = max(since, now - 1 - STEPS)
        versions = [
            {"model": model, "version": version, "points": [point for point in points if first < point.step]}
            for (model, version), points in self._points.items()
        ]
        return msgspec.json.encode({"step_s": STEP_S, "last": now - 1, "versions": versions})

    def _forget_idle(self, now: int) -> None:
        """Forget versions without a request in the last hour, as those that were retired."""
        for version in [version for version, step in self._current.items() if step.number < now - STEPS]:
            del self._current[version]
            self._points.pop(version, None)

    def _finish(self, version: Version, step: Step | None) -> None:
        if step is not None and step.answers:
            self._points.setdefault(version, collections.deque(maxlen=STEPS)).append(step.point())

    def _step(self) -> int:
        return int(self._clock() // STEP_S)


def quantiles(counts: collections.Counter[float], shares: Sequence[float]) -> list[float | None]:
    """Return the values at these rising shares of the ordered values (nearest rank); None without a value."""
    total, seen, values = sum(counts.values()), 0, list[float | None]()
    ordered = iter(sorted(counts.items()))
    value: float | None = None
    for share in shares:
        while seen < share * total:
            value, count = next(ordered)
            seen += count
        values.append(value)
    return values
