"""A test of two versions that may be looked at after every block: a test martingale of sign flips.

Within a block of time, requests went to one of two versions by lot. If the versions don't differ, exchanging them
changes nothing. So the difference of a block is as likely to have the one sign as the other, whatever its size,
whatever drifts from block to block, and however the answers of a block depend on each other. A bet of the share
tanh(stake x difference) on the sign then gains nothing on average, and by Ville's inequality the wealth ever exceeds
1/alpha with a probability of at most alpha. The bet is the likelihood ratio of a normal difference with mean +stake
against one with mean -stake.

Sources: R. A. Fisher, "The Design of Experiments" (1935), section 21 (sign flips); J. Ville, "Étude critique de la
notion de collectif" (1939); G. Shafer, "Testing by betting", J. R. Statist. Soc. A 184 (2021); A. Ramdas, P. Grünwald,
V. Vovk and G. Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38 (2023).
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STAKES: Floats = np.array([0.1, 0.2, 0.4, 0.8, 1.6])  # of the wealth, for differences in standard errors
BOTH: Floats = np.concatenate([STAKES, -STAKES])


def contrast(stable: Floats, canary: Floats, precision: float = 0.0) -> Any:
    """Return the difference of two samples of one size in standard errors, along the last axis.

    It is 0 where all values are equal.

    It changes its sign when the samples are exchanged, and nothing else. `precision` is a spread that values have at
    least: smaller differences count for little.
    """
    pooled = np.concatenate([stable, canary], axis=-1).var(axis=-1) + precision**2
    error = np.sqrt(2 * pooled * stable.shape[-1])
    return np.divide(canary.sum(axis=-1) - stable.sum(axis=-1), error, out=np.zeros_like(error), where=error > 0)


def grow(log_wealth: Floats, difference: Any, stakes: Floats) -> Floats:
    """Return the log wealth after a block: log(1 + tanh(stake x difference)) more for each stake of the last axis."""
    grown: Floats = log_wealth + np.log(2) - np.logaddexp(0, -2 * np.multiply.outer(difference, stakes))
    return grown


def log_mean(log_wealth: Floats, axis: int = -1) -> Any:
    """Return the log of the mean wealth along an axis; the mean is a wealth too."""
    return np.logaddexp.reduce(log_wealth, axis=axis) - np.log(log_wealth.shape[axis])


class Wealth(msgspec.Struct):
    """The wealth of bets that a canary has more of something; `both`: or less.

    The wealth is spread evenly over `starts` beginnings and over the stakes. Whatever was lost while a version did no
    harm, or had less to do than the other, is lost to the bets of earlier beginnings alone.
    """

    starts: int
    both: bool = False
    logs: list[list[float]] = []  # one list of log wealths, by stake, for each beginning so far

    @property
    def stakes(self) -> Floats:
        """What is bet."""
        return BOTH if self.both else STAKES

    def begin(self) -> None:
        """Bet another part of the wealth from now on."""
        self.logs.append([0.0] * len(self.stakes))

    def add(self, difference: float) -> None:
        """Take the difference of a block into account."""
        self.logs = grow(np.array(self.logs), np.full(len(self.logs), difference), self.stakes).tolist()

    @property
    def log(self) -> float:
        """Return the log of the whole wealth, which began with 0; what isn't bet yet is kept."""
        waiting = [0.0] * (self.starts - len(self.logs))
        return float(log_mean(np.array([*waiting, *(log_mean(np.array(part)) for part in self.logs)])))
