"""The comparison of a canary with the stable version, measure by measure, which tells whether the canary does harm."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from .measures import LOADED, MEASURES
from .paired_blocks import BlockResult
from .sequential import Wealth

EITHER = frozenset({"label", "score"})  # any difference is harm; in the other measures only an excess is
MOST_LABELS = 50


class Total(msgspec.Struct):
    """The answers of each version that were compared so far, and the sums of their values."""

    answers: int = 0
    stable: float = 0.0
    canary: float = 0.0

    def add(self, result: BlockResult) -> None:
        """Add the result of one block."""
        self.answers += result.answers
        self.stable += result.stable
        self.canary += result.canary


class Account(msgspec.Struct):
    """The wealth of bets and the totals of one measure or of one label."""

    wealth: Wealth = msgspec.field(name="evidence")  # its name in the records of canaries
    total: Total

    def add(self, result: BlockResult) -> None:
        """Add the result of one block."""
        self.wealth.add(result.difference)
        self.total.add(result)


class Harm(msgspec.Struct, frozen=True):
    """A measure in which the versions differ too much for chance; `odds` is the factor that a bet on it won."""

    measure: str
    stable: float
    canary: float
    answers: int
    odds: float
    label: str = ""

    def __str__(self) -> str:
        label = f" have the label {self.label}" if self.label else ""
        number = "{:.3f}" if self.measure == "score" else "{:.1%}"
        canary, stable = number.format(self.canary), number.format(self.stable)
        return (
            f"{self.measure}: canary {canary}{label}, stable {stable}, of {self.answers} answers each at the same time"
        )


class Comparison(msgspec.Struct):
    """A canary compared with the stable version.

    `alpha` bounds the chance of ever seeing harm where there is none. `busier` has the measures that load makes worse,
    from times when the canary had more load than the stable version; a difference there is no harm.
    """

    alpha: float
    starts: int
    measures: dict[str, Account]
    busier: dict[str, Account]
    labels: dict[str, Account] = {}

    def begin(self) -> None:
        """Begin another step."""
        for account in (*self.measures.values(), *self.busier.values(), *self.labels.values()):
            account.wealth.begin()

    def take(self, results: Iterable[BlockResult], *, busier: bool) -> None:
        """Add results of blocks; `busier` if the canary got more requests than the stable version at that time."""
        for result in results:
            if result.measure == "label":
                self._take_label(result)
            elif busier and result.measure in LOADED:
                self.busier[result.measure].add(result)
            else:
                self.measures[result.measure].add(result)

    def _take_label(self, result: BlockResult) -> None:
        """Add a label's result; it counts from its second block on, since a bet precedes its outcome."""
        account = self.labels.get(result.label)
        if account:
            account.add(result)
        elif len(self.labels) < MOST_LABELS:
            blocks = len(self.measures["score"].wealth.logs)
            self.labels[result.label] = new_account(self.starts, blocks, both=True)

    def logs(self) -> dict[str, float]:
        """Return the log of the wealth of each measure."""
        logs = {name: account.wealth.log for name, account in self.measures.items()}
        parts = [math.exp(min(600, account.wealth.log)) * share(rank) for rank, account in self._by_rank()]
        return {**logs, "label": math.log(sum(parts) + 1 / (len(parts) + 1))}

    def _by_rank(self) -> list[tuple[int, Account]]:
        return list(enumerate(self.labels.values(), start=1))

    @property
    def limit(self) -> float:
        """The log of the wealth from which a difference is harm, by Ville's inequality; the measures share `alpha`."""
        return math.log(len(MEASURES) / self.alpha)

    def harms(self) -> list[Harm]:
        """Return the measures in which the canary does harm."""
        return [self._harm(name, log) for name, log in self.logs().items() if log >= self.limit]

    def is_busier(self) -> bool:
        """Return whether the canary is slower or less available while it has more load."""
        return any(account.wealth.log >= self.limit for account in self.busier.values())

    def _harm(self, name: str, log: float) -> Harm:
        account, label = self.measures.get(name), ""
        if account is None:
            label = max(self.labels, key=lambda known: self.labels[known].wealth.log)
            account = self.labels[label]
        total, odds = account.total, math.exp(min(600, log))
        stable, canary = (value / max(1, total.answers) for value in (total.stable, total.canary))
        return Harm(name, stable, canary, total.answers, odds, label)


def share(rank: int) -> float:
    """Return the share of the wealth that is bet on the label number `rank`; all shares sum to less than 1."""
    return 1 / (rank * (rank + 1))


def new_account(starts: int, blocks: int, *, both: bool) -> Account:
    """Return an empty account in which `blocks` steps have begun."""
    account = Account(Wealth(starts, both), Total())
    for _ in range(blocks):
        account.wealth.begin()
    return account


def new_comparison(alpha: float, starts: int) -> Comparison:
    """Return a comparison without data, for a rollout of `starts` steps; the measures share `alpha` evenly."""
    measures = {name: new_account(starts, 0, both=name in EITHER) for name in MEASURES if name != "label"}
    return Comparison(alpha, starts, measures, {name: new_account(starts, 0, both=False) for name in sorted(LOADED)})
