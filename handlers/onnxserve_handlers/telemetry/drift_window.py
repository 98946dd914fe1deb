"""The rows of one window, and how far they lie from the rows of the proof, both as counts in bins.

A client that sends one row again and again would make the window look like that row. So equal rows count together at
most as much as the most frequent row of the proof did there. And rows of one request have often to do with each other,
so they say less than as many independent rows. How much less is measured by how unequal requests are (J. Rao and
A. Scott, "The analysis of categorical data from complex sample surveys", J. Am. Stat. Assoc. 76, 1981; the largest of
their design effects is taken, which errs on the safe side).
"""

from __future__ import annotations

import math
import pickle
import random
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Counts = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]
KEY_BITS = 62
MOST_ALIKE = ""  # in place of a measure's name, in the file of the measures of the proof's rows
# Requests that the test expects to have rows in a bin, at least: the chance that none has is e^-8 then, 0.0003.
LEAST_EXPECTED = 8.0
TINY = 1e-6


class Column:
    """One measure of a window: the bin of each row, -1 for none, its request's number, and its key.

    The buffers grow in place, since a window may come in thousands of batches.
    """

    def __init__(self) -> None:
        self._bins, self._requests, self._keys = array("i"), array("i"), array("q")

    def add(self, bins: Counts, requests: Numbers, keys: Numbers) -> None:
        """Add the rows of a batch, arrays of shape (rows,)."""
        for buffer, values in ((self._bins, bins), (self._requests, requests), (self._keys, keys)):
            buffer.frombytes(values.astype(buffer.typecode).tobytes())

    def arrays(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return bins, numbers of requests and keys, each of shape (rows,)."""
        return np.array(self._bins, np.int64), np.array(self._requests, np.int64), np.array(self._keys, np.int64)


class DriftWindow:
    """What came since the last window was closed.

    `sizes` has the number of bins of each measure. Equal rows may make up `most_alike` of a window, 1 for any share.
    """

    def __init__(self, sizes: Mapping[str, int], most_alike: float) -> None:
        self._sizes, self._most_alike = sizes, most_alike
        self._columns = {name: Column() for name in sizes}
        self.rows = self.requests = 0

    def add(self, requests: Sequence[Sequence[Any]], bins: Mapping[str, Counts]) -> None:
        """Add a batch: the rows of each request, and the bins of each measure, in the order of the rows.

        A measure of another number of rows is one of answers of which some lack; they count as one request's.
        """
        places = np.repeat(np.arange(len(requests)) + self.requests, list(map(len, requests)))
        limited = self._most_alike < 1
        keys = np.array([row_key(row) if limited else 0 for rows in requests for row in rows], np.int64)
        for name, row_bins in bins.items():
            if len(row_bins) == len(places):
                self._columns[name].add(row_bins, places, keys)
            else:
                own_keys = np.array([new_key() for _ in row_bins], np.int64)
                self._columns[name].add(row_bins, np.full(len(row_bins), self.requests), own_keys)
        self.rows += len(places)
        self.requests += len(requests)

    def seen(self, name: str) -> Numbers:
        """Return how many rows lie in each bin of a measure, shape (bins,)."""
        bins, _, _ = self._columns[name].arrays()
        return np.bincount(bins[bins >= 0], minlength=self._sizes[name])

    def table(self, name: str) -> Counts:
        """Return how much the rows of each request count in each bin of a measure, shape (requests, bins)."""
        bins, requests, keys = self._columns[name].arrays()
        size, is_known = self._sizes[name], bins >= 0
        weights = np.minimum(1, max(1.0, self._most_alike * len(bins)) / times_seen(keys))[is_known]
        places = requests[is_known] * size + bins[is_known]
        return np.bincount(places, weights, self.requests * size).reshape(-1, size)


def times_seen(keys: Numbers) -> Numbers:
    """Return how often each key stands among the keys, in their order."""
    _, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
    times: Numbers = counts[places]
    return times


def row_key(row: Any) -> int:
    """Return a number that equal rows share within this process; another each time for rows that have no bytes."""
    try:
        return hash(pickle.dumps(row))
    except Exception:  # noqa: BLE001 - a row of a user's own handler, which may be anything
        return new_key()


def new_key() -> int:
    """Return a number that no other row has."""
    return random.getrandbits(KEY_BITS)


def bins_of(values: Array, edges: Array) -> Counts:
    """Return the bin of each value, shape (values,); -1 for NaN."""
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right")).astype(np.int32)


def distances(reference: Counts, window: Counts) -> dict[str, float]:
    """Return three distances of two sets of counts.

    They are the population stability index (N. Siddiqi, "Credit risk scorecards", 2006), the Jensen-Shannon divergence
    in bits (J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37, 1991), and the
    largest difference of the cumulative shares (N. Smirnov, Ann. Math. Stat. 19, 1948). Both counts have the shape
    (bins,).
    """
    p, q = reference / reference.sum(), window / window.sum()
    safe_p, safe_q = np.maximum(p, TINY), np.maximum(q, TINY)
    middle = (safe_p + safe_q) / 2
    return {
        "psi": float(((safe_q - safe_p) * np.log(safe_q / safe_p)).sum()),
        "js": float((safe_p * np.log2(safe_p / middle) + safe_q * np.log2(safe_q / middle)).sum() / 2),
        "ks": float(np.abs(np.cumsum(p) - np.cumsum(q)).max()),
    }


def p_value(reference: Counts, window: Counts) -> float:
    """Return the chance of so large a difference between two draws of one population; rare bins join the next ones.

    `reference` has the shape (bins,), `window` (requests, bins), or (bins,) where each row is a request of its own. It
    is the chi-squared test of two binned samples (W. Press et al., "Numerical recipes", 3rd ed., 14.3.1).

    Where the rows of a request are alike, and no request happens to draw a bin, the window doesn't show how alike they
    are. So it is requests rather than rows of which enough must be expected in a bin.
    """
    table = np.atleast_2d(window)
    counts = table.sum(axis=0)
    both = reference + counts
    shares = np.maximum(both / both.sum(), reference / reference.sum())
    starts = group_starts(shares * (counts.sum() if window.ndim == 1 else effective_requests(table)))
    r, table = np.add.reduceat(reference, starts), np.add.reduceat(table, starts, axis=1)
    if len(r) < 2:
        return 1.0
    w = table.sum(axis=0) / design_effect(table)
    ratio = math.sqrt(w.sum() / r.sum())
    statistic = float(((ratio * r - w / ratio) ** 2 / (r + w)).sum())
    return chi_squared_tail(statistic, len(r) - 1)


def effective_requests(table: Counts) -> float:
    """Return how many requests of equal sizes say as much as these if the rows of each are alike; (requests, bins).

    L. Kish, "Survey sampling", 1965, 11.7.
    """
    sizes = table.sum(axis=1)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def group_starts(expected: Counts) -> list[int]:
    """Return the first bins of groups in each of which LEAST_EXPECTED requests or more are expected; one at least."""
    starts, total = [0], 0.0
    for following, value in enumerate(expected.tolist(), 1):
        total += value
        if total >= LEAST_EXPECTED:
            starts.append(following)
            total = 0.0
    return starts[:-1] or [0]  # what is left at the end joins the last group


def design_effect(table: Counts) -> float:
    """Return by how much the counts of all requests vary more than those of independent rows, at least 1.

    `table` has the shape (requests, bins). With one request nothing is known, and 1 is returned.
    """
    sizes = table.sum(axis=1)
    table, sizes = table[sizes > 0], sizes[sizes > 0]
    if len(sizes) < 2 or sizes.max() <= 1:
        return 1.0
    shares = table.sum(axis=0) / sizes.sum()
    residuals = (table - np.outer(sizes, shares))[:, shares > 0] / np.sqrt(shares[shares > 0])
    largest = np.linalg.eigvalsh(residuals.T @ residuals)[-1] / sizes.sum()
    return max(1.0, float(largest) * len(sizes) / (len(sizes) - 1))


def chi_squared_tail(x: float, freedom: int) -> float:
    """Return P(X > x) for whole degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2:
        tail, term, start = math.erfc(math.sqrt(half)), math.sqrt(2 * x / math.pi) * math.exp(-half), 3
    else:
        tail, term, start = math.exp(-half), half * math.exp(-half), 4
    for k in range(start, freedom + 1, 2):
        tail += term
        term *= x / k
    return min(1.0, tail)
