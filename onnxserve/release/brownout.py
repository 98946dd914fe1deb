"""The brown-out ladder: what a busy model gives up, one level at a time, and gets back in the reverse order.

A model's queues in TorchServe and the gateway's refusals say how busy it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from onnxserve.gateway import Model, Roles
from onnxserve.torchserve.model_version import Queue

# What each level gives up; beyond the last level requests are refused.
LEVELS = ("nothing", "shadow", "fresh answers", "the larger version")
NOTHING, SHADOW, FRESH_ANSWERS, LARGER = range(len(LEVELS))
BUSY, CALM = 0.8, 0.4  # shares of the requests that may be under way
UP_AFTER, DOWN_AFTER = 3, 15  # measurements in a row, one a second


@dataclass(frozen=True)
class Pressure:
    """How busy a model is.

    `share` is that of the fullest version: waiting requests divided by those that may wait. `refused` counts the
    refusals of all versions so far.
    """

    share: float
    refused: int


@dataclass(frozen=True)
class Pressures:
    """Measures how busy each model is.

    `queues` returns TorchServe's queue of each version of a model (`Management.queues`). `refused` counts the requests
    of a model that were refused because too many waited or were under way (`Observer.refusals`). `concurrency` is how
    many requests of a version may be under way.
    """

    queues: Callable[[str], Mapping[str, Queue]]
    refused: Callable[[str], int]
    concurrency: int

    def __call__(self, roles: Roles) -> dict[str, Pressure]:
        """Return the pressure by model; ServerError when TorchServe doesn't answer."""
        queues = {name: self.queues(name).values() for name in roles.models}
        shares = {name: max(map(self._share, waiting), default=0.0) for name, waiting in queues.items()}
        return {name: Pressure(share, self.refused(name)) for name, share in shares.items()}

    def _share(self, queue: Queue) -> float:
        return queue.pending_requests / max(1, min(self.concurrency, queue.limit))


@dataclass
class Rung:
    """The recent measurements of one model: `busy` and `calm` ones in a row, and the refusals at the last one."""

    busy: int = 0
    calm: int = 0
    refused: int = -1

    def next(self, level: int, now: Pressure, levels: Sequence[int]) -> int:
        """Return the level after one more measurement; `levels` are those of this model, in order (`levels_of`)."""
        refusing = now.refused > self.refused >= 0
        self.refused = now.refused
        self.busy = self.busy + 1 if now.share >= BUSY or refusing else 0
        self.calm = self.calm + 1 if now.share <= CALM and not refusing else 0
        higher, lower = [at for at in levels if at > level], [at for at in levels if at < level]
        if self.busy >= UP_AFTER and higher:
            self.busy = 0
            return higher[0]
        if (self.calm >= DOWN_AFTER or level not in levels) and lower:
            self.calm = 0
            return lower[-1]
        return level


def levels_of(model: Model, *, keeps_answers: bool) -> list[int]:
    """Return the levels at which this model gives something up; any other level would only lose time.

    `keeps_answers` says whether the gateway has a cache. Without one, level 2 would keep answers that nobody asks for
    again.
    """
    has = {NOTHING: True, SHADOW: model.shadow is not None, FRESH_ANSWERS: keeps_answers, LARGER: bool(model.smaller)}
    return [level for level, given_up in has.items() if given_up]


@dataclass
class Ladder:
    """The ladder of all models.

    `pressures` measures how busy they are (ServerError); `keeps_answers` says whether the gateway has a cache.
    """

    pressures: Callable[[Roles], Mapping[str, Pressure]]
    keeps_answers: bool = False
    rungs: dict[str, Rung] = field(default_factory=dict)

    def changes(self, roles: Roles) -> Iterator[tuple[str, int, str]]:
        """Measure once more; yield each model that goes to another level, that level, and the reason."""
        for name, now in self.pressures(roles).items():
            model = roles.models[name]
            levels = levels_of(model, keeps_answers=self.keeps_answers)
            level = self.rungs.setdefault(name, Rung()).next(model.level, now, levels)
            if level != model.level:
                yield name, level, f"{now.share:.0%} of the allowed requests under way"
