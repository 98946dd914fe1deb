"""Which of the ranked nodes may be in 8 bits: all but the last few, ever more of which stay in float.

A graph with few nodes in float has few places where numbers are rounded once more, so it may keep the budget where one
with more of them doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .records import Sensitivity

BROKEN = 1e9  # the damage of a node that can't be quantised at all
SHORTEST_MS = 1e-3  # of a node, since the profiler counts microseconds


LIKELY, LIKELIER = 0.5, 2 / 3  # chances below which a choice isn't worth a test, and above which no other is tried
HALVINGS = 6  # that tell a chance to 1/64


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


def chance_within(bound: Callable[[float], float], budget: float) -> float:
    """Return the chance that a bound keeps the budget; `bound` gives the one that is kept with a chance."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if bound(middle) <= budget else (low, middle)
    return low


def choose_nodes(
    ranking: list[str],
    left_out: int,
    attempt: Callable[[list[str]], float],
    keep: Callable[[], None],
    ms: Mapping[str, float],
) -> list[str]:
    """Return the choice of nodes whose time in fp32 is the largest, times the chance that it keeps the budget.

    The first choice that keeps it two times out of three is the last that is tried; one that is less likely than not
    to keep it isn't taken. Empty if there is none. `attempt` makes a choice's graph and returns the chance, and `keep`
    is called while the best is the last that was made.
    """
    best, chosen = 0.0, list[str]()
    for nodes in choices(ranking, left_out):
        chance = attempt(nodes)
        worth = chance * sum(max(SHORTEST_MS, ms.get(name, 0.0)) for name in nodes)
        if chance >= LIKELY and worth > best:
            best, chosen = worth, nodes
            keep()
        if chance >= LIKELIER:
            break
    return chosen
