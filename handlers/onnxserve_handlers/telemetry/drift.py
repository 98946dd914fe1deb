"""Whether what comes still looks like what the model was proven on: windows of live rows against the archive's profile.

An alarm has a stated rate: over all measures of a window together, FALSE_ALARM of the windows whose rows are
independent draws of the profile's population raise one (Bonferroni).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

PROFILE = "profile.json"
FALSE_ALARM = 0.001  # of the windows
WINDOW_ROWS, WINDOW_S, LEAST_ROWS = 2_000, 600.0, 200
SCORE, MOST_VALUES = "score", 8
GAP_S = 0.05  # between batches that are looked at: the cost is bounded, whatever the load


class Measures(Protocol):
    """A handler."""

    def measures(self, rows: Sequence[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Numbers of some rows, one array a measure."""


class Measure(msgspec.Struct, frozen=True):
    """How one measure was spread: bins between `edges`, the outer ones open."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Profile(msgspec.Struct, frozen=True):
    """`profile.json`."""

    rows: int
    measures: dict[str, Measure]
    labels: dict[str, int] = {}
    embedding: Space | None = None


class Drift:
    """One worker's windows."""

    def __init__(
        self,
        profile: Profile,
        told: Callable[[str, Mapping[str, float]], None],
        alarm: Callable[[float], None],
        now: Callable[[], float] = time.monotonic,
        changes: Changes | None = None,
    ) -> None:
        self._profile, self._told, self._alarm, self._now, self._changes = profile, told, alarm, now, changes
        self._edges = {name: np.array(one.edges) for name, one in profile.measures.items()}
        self._labels = {label: place for place, label in enumerate(profile.labels)}
        self._next = 0.0
        self._begin()

    def _begin(self) -> None:
        self._rows, self._since = 0, self._now()
        self._counts = {name: np.zeros(len(one.counts), np.int64) for name, one in self._profile.measures.items()}
        self._said = np.zeros(len(self._labels) + 1, np.int64)

    def due(self) -> bool:
        """Whether to look at a batch: most are passed over when many come."""
        return self._now() >= self._next

    def see(self, rows: Sequence[Any], predictions: Sequence[Any], handler: Measures) -> None:
        """A batch."""
        now = self._now()
        self._next = now + GAP_S
        found = dict(handler.measures(rows)) | answered(predictions, self._profile.embedding)
        for name, values in found.items():
            if name in self._counts:
                self._counts[name] += counted(values, self._edges[name])
        if self._changes is not None and SCORE in found:
            self._changes.see(found[SCORE].tolist())
        for one in predictions:
            if isinstance(one, dict) and "label" in one:
                self._said[self._labels.get(one["label"], -1)] += 1
        self._rows += len(rows)
        if self._rows >= WINDOW_ROWS or (now - self._since >= WINDOW_S and self._rows >= LEAST_ROWS):
            self.judge()

    def judge(self) -> float:
        """Close the window: its figures are told, and the alarm's p-value, over all measures together."""
        least, tests = 1.0, 0
        for name, counts in self._counts.items():
            if counts.sum():
                reference = np.array(self._profile.measures[name].counts)
                self._told(name, distances(reference, counts))
                least, tests = min(least, p_value(reference, counts)), tests + 1
        if self._labels and self._said.sum():
            reference = np.array([*self._profile.labels.values(), 0])
            self._told("label", distances(reference, self._said))
            least, tests = min(least, p_value(reference, self._said)), tests + 1
        adjusted = min(1.0, least * max(tests, 1))
        self._alarm(adjusted)
        self._begin()
        return adjusted


def answered(predictions: Sequence[Any], space: Space | None) -> dict[str, npt.NDArray[Any]]:
    """What is looked at of answers: scores; of a model without labels each value, or the embedding."""
    plain = [one for one in predictions if isinstance(one, dict)]
    if scores := [one["score"] for one in plain if "score" in one]:
        return {SCORE: np.array(scores)}
    values = np.array([one["values"] for one in plain if "values" in one])
    if not len(values):
        return {}
    if space is not None:
        return placed(values, space)
    return {f"value.{place}": column for place, column in enumerate(values.T[:MOST_VALUES])}


log = logging.getLogger(__name__)
# river's defaults: its bound on false alarms; values between two looks; and how many buckets of a size are kept.
DELTA, CLOCK, BUCKETS, LEAST, GRACE = 0.002, 32, 5, 5, 10


class Changes:
    """A window of scores that grows while they stay alike, and lets go of the older part when they don't."""

    def __init__(self, window: Callable[..., Any], told: Callable[[float, int], None]) -> None:
        self._scores, self._told = window(DELTA, CLOCK, BUCKETS, LEAST, GRACE), told

    def see(self, scores: Sequence[float]) -> None:
        """Some more; told are the mean of the window and how many changes they brought."""
        found = sum(map(self._scores.update, scores))
        self._told(self._scores.get_total() / max(self._scores.get_width(), 1), found)


def window() -> Callable[..., Any] | None:
    """river's; None where it is not installed."""
    try:
        from river._river_rust.drift import AdaptiveWindowing
    except ImportError:
        log.info("river is not installed: no change of scores is looked for")
        return None
    found: Callable[..., Any] = AdaptiveWindowing
    return found


PREFIX = "embedding."
SMALLEST_NORM = 1e-12


class Space(msgspec.Struct, frozen=True):
    """Of the rows that the archive was proven with: their mean, and the axes along which they vary most."""

    centre: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]


def placed(vectors: npt.NDArray[Any], space: Space) -> dict[str, npt.NDArray[Any]]:
    """Measures of `vectors`, shape (rows, width); the exporter's are made in the same way."""
    centre, axes = np.array(space.centre), np.array(space.axes)
    norms = np.linalg.norm(vectors, axis=1)
    found = {
        PREFIX + "norm": norms,
        PREFIX + "cosine": vectors @ centre / np.maximum(norms * np.linalg.norm(centre), SMALLEST_NORM),
    }
    for number, along in enumerate(((vectors - centre) @ axes.T).T, 1):
        found[f"{PREFIX}{number}"] = along
    return found


Counts = npt.NDArray[np.int64]
LEAST_EXPECTED = 5.0  # rows of a bin, for the test
TINY = 1e-6


def counted(values: npt.NDArray[Any], edges: npt.NDArray[Any]) -> Counts:
    """Values in each bin."""
    found: Counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return found


def distances(reference: Counts, window: Counts) -> dict[str, float]:
    """PSI, JS and KS of two sets of counts."""
    p, q = reference / reference.sum(), window / window.sum()
    safe_p, safe_q = np.maximum(p, TINY), np.maximum(q, TINY)
    middle = (safe_p + safe_q) / 2
    return {
        "psi": float(((safe_q - safe_p) * np.log(safe_q / safe_p)).sum()),
        "js": float((safe_p * np.log2(safe_p / middle) + safe_q * np.log2(safe_q / middle)).sum() / 2),
        "ks": float(np.abs(np.cumsum(p) - np.cumsum(q)).max()),
    }


def p_value(reference: Counts, window: Counts) -> float:
    """Chance of counts that differ so much, if both are draws of one population; rare bins are put together."""
    both = reference + window
    rare = both * (window.sum() / both.sum()) < LEAST_EXPECTED
    r, w = (np.append(one[~rare], one[rare].sum()) for one in (reference, window))
    r, w = r[r + w > 0], w[r + w > 0]
    if len(r) < 2:
        return 1.0
    ratio = math.sqrt(w.sum() / r.sum())
    statistic = float(((ratio * r - w / ratio) ** 2 / (r + w)).sum())
    return chi_squared_tail(statistic, len(r) - 1)


def chi_squared_tail(x: float, freedom: int) -> float:
    """P(X > x) for whole degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2:
        found, term, start = math.erfc(math.sqrt(half)), math.sqrt(2 * x / math.pi) * math.exp(-half), 3
    else:
        found, term, start = math.exp(-half), half * math.exp(-half), 4
    for k in range(start, freedom + 1, 2):
        found += term
        term *= x / k
    return min(1.0, found)
