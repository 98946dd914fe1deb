"""How many rounds to measure and for how long, within a time budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .measure import CONCURRENCIES, length

OVERHEAD_S = 0.3  # per run: resume, first answer, memory reading
WARM_SHARE, SETTLE_SHARE = 0.015, 0.005  # shares of the budget, per server


@dataclass(frozen=True)
class Plan:
    """Rounds, seconds of a run and of the warm-up; `budget_s` limits a model's time, 0 means no limit."""

    rounds: int = 5
    seconds: int = 4
    clients: tuple[int, ...] = CONCURRENCIES
    warm_s: int = 20  # for servers that compile while they run
    settle_s: int = 5  # for the others
    budget_s: float = 0.0

    def warm_up(self, *, compiles: bool) -> int:
        """Return the seconds of load before a server is measured."""
        most, share = (self.warm_s, WARM_SHARE) if compiles else (self.settle_s, SETTLE_SHARE)
        return min(most, max(1, int(share * self.budget_s))) if self.budget_s else most


def fit(plan: Plan, left_s: float, paces: Sequence[float]) -> tuple[int, int]:
    """Return rounds and seconds per run that fit into `left_s`: shorten the runs first, then drop rounds.

    `paces` holds each server's answers per second.
    """

    def of_round(seconds: int) -> float:
        return sum(length(seconds, pace, clients) + OVERHEAD_S for pace in paces for clients in plan.clients)

    for seconds in range(plan.seconds, 0, -1):
        if plan.rounds * of_round(seconds) <= left_s:
            return plan.rounds, seconds
    return max(1, int(left_s // max(1.0, of_round(1)))), 1
