"""The ladder of what is given up when a model is too busy, one rung at a time, and given back one at a time.

How busy it is, its queues in TorchServe and the gateway's refusals say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from onnxserve.gateway import Model, Roles
from onnxserve.torchserve.model_version import Queue

# What each level gives up; beyond the last, requests are refused.
LEVELS = ("nothing", "shadow", "fresh answers", "the larger version")
NOTHING, SHADOW, FRESH_ANSWERS, LARGER = range(len(LEVELS))
BUSY, CALM = 0.8, 0.4  # of the requests that may be under way
UP_AFTER, DOWN_AFTER = 3, 15  # looks, one a second


@dataclass(frozen=True)
class Pressure:
    """Of the fullest version: waiting requests as a share of those that may wait; refusals so far of all versions."""

    share: float
    refused: int


@dataclass(frozen=True)
class Pressures:
    """Looks at all models.

    `queues` gives what waits in TorchServe for each version of a model (`Management.queues`), `refused` the requests of
    a model that were refused since too many waited or were under way (`Observer.refused`), and `concurrency` is how
    many may be under way.
    """

    queues: Callable[[str], Mapping[str, Queue]]
    refused: Callable[[str], int]
    concurrency: int

    def __call__(self, roles: Roles) -> dict[str, Pressure]:
        """By model; ServerError when TorchServe doesn't answer."""
        queues = {name: self.queues(name).values() for name in roles.models}
        shares = {name: max(map(self._share, waiting), default=0.0) for name, waiting in queues.items()}
        return {name: Pressure(share, self.refused(name)) for name, share in shares.items()}

    def _share(self, queue: Queue) -> float:
        return queue.pending_requests / max(1, min(self.concurrency, queue.limit))


@dataclass
class Rung:
    """One model's way on the ladder."""

    busy: int = 0
    calm: int = 0
    refused: int = -1

    def next(self, level: int, now: Pressure, levels: Sequence[int]) -> int:
        """The level after one more look; `levels` are those that the model has (`levels_of`), in their order."""
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
    """The levels that give something of this model up: one that doesn't would only cost time, when there is least.

    `keeps_answers` says whether the gateway has a cache; without one it would keep what nobody asks again.
    """
    has = {NOTHING: True, SHADOW: model.shadow is not None, FRESH_ANSWERS: keeps_answers, LARGER: bool(model.smaller)}
    return [level for level, given_up in has.items() if given_up]


@dataclass
class Ladder:
    """All models' ways; `pressures` says how busy they are (ServerError), `keeps_answers` whether there is a cache."""

    pressures: Callable[[Roles], Mapping[str, Pressure]]
    keeps_answers: bool = False
    rungs: dict[str, Rung] = field(default_factory=dict)

    def moves(self, roles: Roles) -> Iterator[tuple[str, int, str]]:
        """Models that go to another level after one more look, and why."""
        for name, now in self.pressures(roles).items():
            model = roles.models[name]
            levels = levels_of(model, keeps_answers=self.keeps_answers)
            level = self.rungs.setdefault(name, Rung()).next(model.level, now, levels)
            if level != model.level:
                yield name, level, f"{now.share:.0%} of the allowed requests under way"
