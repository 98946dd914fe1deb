"""How much is measured, and what fits into the time that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .measure import CONCURRENCIES, length

OVERHEAD_S = 0.3  # of a run: waking up, a first answer, reading the memory
WARM_SHARE, SETTLE_SHARE = 0.015, 0.005  # of the time that there is, for one server


@dataclass(frozen=True)
class Plan:
    """Rounds, seconds of one run and of the load before; `budget_s` bounds a model, 0 doesn't."""

    rounds: int = 5
    seconds: int = 4
    clients: tuple[int, ...] = CONCURRENCIES
    warm_s: int = 20  # for servers that compile themselves
    settle_s: int = 5  # for the others
    budget_s: float = 0.0

    def warm_up(self, *, compiles: bool) -> int:
        """Seconds of load before a server is measured."""
        most, share = (self.warm_s, WARM_SHARE) if compiles else (self.settle_s, SETTLE_SHARE)
        return min(most, max(1, int(share * self.budget_s))) if self.budget_s else most


def fit(plan: Plan, left_s: float, paces: Sequence[float]) -> tuple[int, int]:
    """Rounds and seconds of a run that take no more than `left_s`: shorter runs first, then fewer rounds.

    `paces` are the servers' answers per second.
    """

    def of_round(seconds: int) -> float:
        return sum(length(seconds, pace, clients) + OVERHEAD_S for pace in paces for clients in plan.clients)

    for seconds in range(plan.seconds, 0, -1):
        if plan.rounds * of_round(seconds) <= left_s:
            return plan.rounds, seconds
    return max(1, int(left_s // max(1.0, of_round(1)))), 1
