"""Whether a canary does harm: measures of its answers, compared with the stable version's at the same time."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from .measures import LOADED, MEASURES
from .paired_blocks import BlockResult
from .sequential import Evidence

EITHER = frozenset({"label", "score"})  # any difference is harm; of the others, more is
MOST_LABELS = 50


class Total(msgspec.Struct):
    """What was compared so far: so many answers of each version, and the sums of their values."""

    answers: int = 0
    stable: float = 0.0
    canary: float = 0.0

    def add(self, comparison: BlockResult) -> None:
        """One block more."""
        self.answers += comparison.answers
        self.stable += comparison.stable
        self.canary += comparison.canary


class Account(msgspec.Struct):
    """Evidence and totals of one measure, or of one label."""

    evidence: Evidence
    total: Total

    def add(self, comparison: BlockResult) -> None:
        """One block more."""
        self.evidence.add(comparison.difference)
        self.total.add(comparison)


class Harm(msgspec.Struct, frozen=True):
    """One measure on which the versions differ for certain; `odds` is how much a bet on it would have won."""

    measure: str
    stable: float
    canary: float
    answers: int
    odds: float
    label: str = ""

    def __str__(self) -> str:
        of = f" have the label {self.label}" if self.label else ""
        shares = "{:.3f}" if self.measure == "score" else "{:.1%}"
        canary, stable = shares.format(self.canary), shares.format(self.stable)
        return f"{self.measure}: canary {canary}{of}, stable {stable}, of {self.answers} answers each at the same time"


class Comparison(msgspec.Struct):
    """A canary against the stable version; `alpha` is the chance of ever seeing harm where there is none.

    `busier` has what load makes worse too, from when the canary had more of it: that is no harm.
    """

    alpha: float
    starts: int
    measures: dict[str, Account]
    busier: dict[str, Account]
    labels: dict[str, Account] = {}

    def begin(self) -> None:
        """A step begins."""
        for account in (*self.measures.values(), *self.busier.values(), *self.labels.values()):
            account.evidence.begin()

    def take(self, comparisons: Iterable[BlockResult], *, busier: bool) -> None:
        """Take blocks into account; `busier`: of a time when the canary got more requests than the stable version."""
        for comparison in comparisons:
            if comparison.measure == "label":
                self._label(comparison)
            elif busier and comparison.measure in LOADED:
                self.busier[comparison.measure].add(comparison)
            else:
                self.measures[comparison.measure].add(comparison)

    def _label(self, comparison: BlockResult) -> None:
        """A label counts from the block after the first that has it: a bet is made before it is decided."""
        account = self.labels.get(comparison.label)
        if account:
            account.add(comparison)
        elif len(self.labels) < MOST_LABELS:
            begun = len(self.measures["score"].evidence.logs)
            self.labels[comparison.label] = made(self.starts, begun, both=True)

    def logs(self) -> dict[str, float]:
        """Log of the wealth of each measure."""
        found = {name: account.evidence.log for name, account in self.measures.items()}
        parts = [math.exp(min(600, account.evidence.log)) * share(rank) for rank, account in self._ranked()]
        return {**found, "label": math.log(sum(parts) + 1 / (len(parts) + 1))}

    def _ranked(self) -> list[tuple[int, Account]]:
        return list(enumerate(self.labels.values(), start=1))

    @property
    def limit(self) -> float:
        """Log of the wealth that is harm."""
        return math.log(len(MEASURES) / self.alpha)

    def harms(self) -> list[Harm]:
        """Measures with enough evidence."""
        return [self._harm(name, log) for name, log in self.logs().items() if log >= self.limit]

    def is_busier(self) -> bool:
        """Whether the canary is slower or less available, but had more to do."""
        return any(account.evidence.log >= self.limit for account in self.busier.values())

    def _harm(self, name: str, log: float) -> Harm:
        account, label = self.measures.get(name), ""
        if account is None:
            label = max(self.labels, key=lambda known: self.labels[known].evidence.log)
            account = self.labels[label]
        total, odds = account.total, math.exp(min(600, log))
        stable, canary = (value / max(1, total.answers) for value in (total.stable, total.canary))
        return Harm(name, stable, canary, total.answers, odds, label)


def share(rank: int) -> float:
    """Of the wealth that is bet on a label, by the order in which labels came: together less than 1."""
    return 1 / (rank * (rank + 1))


def made(starts: int, begun: int, *, both: bool) -> Account:
    """An account without entries, with so many beginnings behind it."""
    account = Account(Evidence(starts, both), Total())
    for _ in range(begun):
        account.evidence.begin()
    return account


def new_comparison(alpha: float, starts: int) -> Comparison:
    """A comparison without data, for a rollout of `starts` steps; the measures share `alpha` evenly."""
    measures = {name: made(starts, 0, both=name in EITHER) for name in MEASURES if name != "label"}
    return Comparison(alpha, starts, measures, {name: made(starts, 0, both=False) for name in sorted(LOADED)})
