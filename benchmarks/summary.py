"""Medians over rounds, and ratios between servers within a round."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .measure import Measured
from .rivals import TITLES

Figure = Literal["rate", "p50_ms", "p99_ms", "cpu_s_per_1000"]


@dataclass(frozen=True)
class Spread:
    """A median, a minimum and a maximum."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of the values, None if there are none."""
    kept = sorted(values)
    return Spread(statistics.median(kept), kept[0], kept[-1]) if kept else None


class Summary:
    """All rounds of one model."""

    def __init__(self, runs: Iterable[Measured]) -> None:
        self._runs = list(runs)

    def of(self, server: str, clients: int, figure: Figure) -> Spread | None:
        """Return the spread of a figure over the rounds."""
        return spread(self._by_round(server, clients, figure).values())

    def ratio(self, over: str, under: str, clients: int, figure: Figure) -> Spread | None:
        """Return the spread of per-round ratios of two servers: machine drift affects both servers of a round."""
        above, below = self._by_round(over, clients, figure), self._by_round(under, clients, figure)
        return spread(value / below[round_] for round_, value in above.items() if below.get(round_))

    def refused(self, server: str, clients: int) -> dict[str, int]:
        """Return the failed requests of all rounds, by kind."""
        total = Counter[str]()
        for run in self._of(server, clients):
            total.update(run.refused)
        return dict(total)

    def requests(self, server: str, clients: int) -> int:
        """Return the number of requests in all rounds."""
        return sum(run.requests for run in self._of(server, clients))

    def memory_mb(self, server: str) -> dict[str, float]:
        """Return the memory in MB by program, from the run with the highest total."""
        runs = (run.memory_mb for run in self._runs if run.server == server)
        return max(runs, key=lambda programs: sum(programs.values()), default={})

    def servers(self) -> list[str]:
        """Return the measured servers in table order."""
        present = {run.server for run in self._runs}
        return [name for name in TITLES if name in present]

    def clients(self) -> list[int]:
        """Return the measured numbers of clients."""
        return sorted({run.clients for run in self._runs})

    def rounds(self) -> int:
        """Return the number of measured rounds."""
        return len({run.round for run in self._runs})

    def _of(self, server: str, clients: int) -> list[Measured]:
        return [run for run in self._runs if (run.server, run.clients) == (server, clients)]

    def _by_round(self, server: str, clients: int, figure: Figure) -> dict[int, float]:
        return {run.round: float(getattr(run, figure)) for run in self._of(server, clients)}
