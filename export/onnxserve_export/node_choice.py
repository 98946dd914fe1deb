"""Which of the ranked nodes may be in 8 bits: all but the last few, ever more of which stay in float.

A graph with few nodes in float has few places where numbers are rounded once more, so it may keep the budget where one
with more of them doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .records import Sensitivity

BROKEN = 1e9  # the damage of a node that can't be quantised at all
SHORTEST_MS = 1e-3  # of a node, since the profiler counts microseconds


@dataclass(frozen=True)
class Foreseen:
    """The bounds that the certify rows would give to a graph: as likely as not, and two times out of three."""

    likely: float
    likelier: float


MISSES = Foreseen(float("inf"), float("inf"))  # of a graph that may not serve whatever its bound is


def by_damage_for_time(sensitivity: Sensitivity, ms: Mapping[str, float]) -> list[str]:
    """Return the nodes that can be quantised, first those that do the least damage for the time they take in fp32.

    Errors of different nodes have little to do with each other, so their squares add up.
    """
    usable = [name for name in sensitivity.ranking if sensitivity.damage[name] < BROKEN]
    return sorted(usable, key=lambda name: sensitivity.damage[name] ** 2 / max(SHORTEST_MS, ms.get(name, 0.0)))


def choices(ranking: list[str], left_out: int) -> Iterator[list[str]]:
    """Yield the ranking without its last nodes: `left_out` of them, then each time one more, or half as many again."""
    while left_out < len(ranking):
        yield ranking[: len(ranking) - left_out]
        left_out = max(left_out + 1, left_out * 3 // 2)


def choose_nodes(
    ranking: list[str],
    left_out: int,
    attempt: Callable[[list[str]], Foreseen],
    keep: Callable[[], None],
    budget: float,
) -> list[str]:
    """Return the nodes of the first choice that keeps the budget two times out of three.

    Without one, return those of the best choice that is as likely as not to keep it; empty if there is none. `attempt`
    makes a choice's graph, and `keep` is called while the returned one is the last that was made.
    """
    best, chosen = MISSES, list[str]()
    for nodes in choices(ranking, left_out):
        foreseen = attempt(nodes)
        holds = foreseen.likelier <= budget
        if holds or (foreseen.likely <= budget and foreseen.likely < best.likely):
            best, chosen = foreseen, nodes
            keep()
        if holds:
            break
    return chosen
