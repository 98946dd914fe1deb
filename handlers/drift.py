"""Whether what comes still looks like what the model was proven on: windows of live rows against the archive's profile.

Population stability index, Jensen-Shannon divergence (base 2) and Kolmogorov-Smirnov distance of each measure, over
the profile's bins; and a chi-squared test of two samples (Press et al., Numerical Recipes, 14.3) for an alarm with a
stated rate: over all measures of a window together, FALSE_ALARM of the windows whose rows are independent draws of the
profile's population raise one (Bonferroni).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from .metrics import NAMES, VARIABLE
from .signature import Signature

Counts = npt.NDArray[np.int64]
PROFILE = "profile.json"
FALSE_ALARM = 0.001  # of the windows
WINDOW_ROWS, WINDOW_S, LEAST_ROWS = 2_000, 600.0, 200
GAP_S = 0.05  # between batches that are looked at: the cost is bounded, whatever the load
LEAST_EXPECTED = 5.0  # rows of a bin, for the test
TINY = 1e-6


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


class Drift:
    """One worker's windows."""

    def __init__(
        self,
        profile: Profile,
        told: Callable[[str, Mapping[str, float]], None],
        alarm: Callable[[float], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile, self._told, self._alarm, self._now = profile, told, alarm, now
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
        for name, values in measured(handler, rows, predictions).items():
            if name in self._counts:
                self._counts[name] += counted(values, self._edges[name])
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


def measured(handler: Measures, rows: Sequence[Any], predictions: Sequence[Any]) -> dict[str, npt.NDArray[Any]]:
    """What is looked at of some rows: the handler's measures, and the score."""
    found = dict(handler.measures(rows))
    scores = [one["score"] for one in predictions if isinstance(one, dict) and "score" in one]
    if scores:
        found["score"] = np.array(scores)
    return found


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


def drift(folder: Path, signature: Signature) -> Drift | None:
    """Where histograms are asked for, and the archive has a profile."""
    path = folder / PROFILE
    if not os.environ.get(VARIABLE) or not path.is_file():
        return None
    try:
        import prometheus_client as client
    except ModuleNotFoundError:
        return None
    names, mine = NAMES, (signature.model, signature.version)
    figures = client.Gauge(
        "onnxserve_drift",
        "Distance of the last window.",
        (*names, "measure", "stat"),
        multiprocess_mode="livemax",
        registry=None,
    )
    lowest = client.Gauge(
        "onnxserve_drift_p_value",
        "Of the last window, all measures.",
        names,
        multiprocess_mode="livemin",
        registry=None,
    ).labels(*mine)
    windows = client.Counter("onnxserve_drift_windows", "Windows judged.", names, registry=None).labels(*mine)
    alarms = client.Counter("onnxserve_drift_alarms", "Windows that raised an alarm.", names, registry=None).labels(
        *mine
    )

    def told(measure: str, stats: Mapping[str, float]) -> None:
        for stat, value in stats.items():
            figures.labels(*mine, measure, stat).set(value)

    def alarm(p: float) -> None:
        lowest.set(p)
        windows.inc()
        if p < FALSE_ALARM:
            alarms.inc()

    return Drift(msgspec.json.decode(path.read_bytes(), type=Profile), told, alarm)
