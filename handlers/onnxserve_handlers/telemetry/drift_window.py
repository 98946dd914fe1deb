"""The rows of one window, as bins of each measure, with the request that brought each row and what row it equals.

A client that sends one row again and again would make the window look like that row. So equal rows count together at
most as much as the most frequent row of the proof did there.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .drift_statistics import Counts

Numbers = npt.NDArray[np.int64]
KEY_BITS = 62
MOST_ALIKE = ""  # in place of a measure's name, in the file of the measures of the proof's rows


class Part(NamedTuple):
    """One measure of a batch: the bin of each row, -1 for none, its request's number, and its key."""

    bins: Counts
    requests: Numbers
    keys: Numbers


class DriftWindow:
    """What came since the last window was closed.

    `sizes` has the number of bins of each measure. Equal rows may make up `most_alike` of a window, 1 for any share.
    """

    def __init__(self, sizes: Mapping[str, int], most_alike: float) -> None:
        self._sizes, self._most_alike = sizes, most_alike
        self._parts: dict[str, list[Part]] = {name: [] for name in sizes}
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
                part = Part(row_bins, places, keys)
            else:
                count = len(row_bins)
                part = Part(
                    row_bins, np.full(count, self.requests), np.array([new_key() for _ in range(count)], np.int64)
                )
            self._parts[name].append(part)
        self.rows += len(places)
        self.requests += len(requests)

    def seen(self, name: str) -> Numbers:
        """Return how many rows lie in each bin of a measure, shape (bins,)."""
        bins = self._joined(name).bins
        return np.bincount(bins[bins >= 0], minlength=self._sizes[name])

    def table(self, name: str) -> Counts:
        """Return how much the rows of each request count in each bin of a measure, shape (requests, bins)."""
        bins, requests, keys = self._joined(name)
        size, is_known = self._sizes[name], bins >= 0
        weights = np.minimum(1, max(1.0, self._most_alike * len(bins)) / times_seen(keys))[is_known]
        places = requests[is_known] * size + bins[is_known]
        return np.bincount(places, weights, self.requests * size).reshape(-1, size)

    def _joined(self, name: str) -> Part:
        parts = self._parts[name]
        return Part(*map(np.concatenate, zip(*parts, strict=True))) if parts else Part(*[np.zeros(0, np.int64)] * 3)


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
