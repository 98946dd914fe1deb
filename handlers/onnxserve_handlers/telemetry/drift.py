"""Drift: whether live rows still look like those that the model was proven on, a window against the archive's profile.

The rate of false alarms is stated: if the rows are independent draws of the profile's population, FALSE_ALARM of the
windows raise an alarm, over all measures together (Bonferroni). Prometheus gets the results.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from ..signature import Signature
from .metrics import NAMES, VARIABLE, Window, make_window, window_file

PROFILE = "profile.json"
FALSE_ALARM = 0.001  # of the windows
WINDOW_ROWS, WINDOW_S, LEAST_ROWS = 2_000, 600.0, 200
SCORE, EMBEDDING = "score", "embedding"
GAP_S = 0.05  # between batches that are measured: it bounds the cost under any load
Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]


class Measures(Protocol):
    """The hooks of a handler that drift needs."""

    def measures(self, rows: Sequence[Any]) -> Mapping[str, Array]:
        """Return numbers of some rows by measure, shape (rows,)."""

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return numbers of predictions by measure, shape (predictions,), or (predictions, width) of embeddings."""

    def label(self, prediction: Any) -> str | None:
        """Return the label of a prediction, None if it has none."""


class Measure(msgspec.Struct, frozen=True):
    """How one measure was distributed: counts in the bins between `edges`, of which the outer ones are open."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class EmbeddingSpace(msgspec.Struct, frozen=True):
    """The mean of the embeddings that the archive was proven with, and the axes along which they vary most."""

    centre: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]


class Profile(msgspec.Struct, frozen=True):
    """The content of `profile.json`."""

    rows: int
    measures: dict[str, Measure]
    labels: dict[str, int] = {}
    embedding: EmbeddingSpace | None = None


class Drift:
    """The windows of one worker.

    `report_distances` gets a measure's distances, `report_p_value` a window's p-value, `report_window` its counts.
    """

    def __init__(
        self,
        profile: Profile,
        report_distances: Callable[[str, Mapping[str, float]], None],
        report_p_value: Callable[[float], None],
        now: Callable[[], float] = time.monotonic,
        changes: ScoreChanges | None = None,
        report_window: Callable[[Window], None] = lambda _: None,
    ) -> None:
        self._profile, self._now, self._changes, self._report_window = profile, now, changes, report_window
        self._report_distances, self._report_p_value = report_distances, report_p_value
        self._edges = {name: np.array(measure.edges) for name, measure in profile.measures.items()}
        self._labels = {label: index for index, label in enumerate(profile.labels)}
        self._next = 0.0
        self._begin()

    def _begin(self) -> None:
        measures = self._profile.measures
        self._rows, self._since = 0, self._now()
        self._counts = {name: np.zeros(len(measure.counts), np.int64) for name, measure in measures.items()}
        self._label_counts = np.zeros(len(self._labels) + 1, np.int64)  # the last one counts unknown labels

    def is_due(self) -> bool:
        """Return whether to measure the current batch; under load most batches are skipped."""
        return self._now() >= self._next

    def add(self, rows: Sequence[Any], predictions: Sequence[Any], handler: Measures) -> None:
        """Measure a batch, and close the window if it is full."""
        now = self._now()
        self._next = now + GAP_S
        measured = {**handler.measures(rows), **handler.prediction_measures(predictions)}
        if self._profile.embedding is not None and EMBEDDING in measured:
            measured |= embedding_measures(measured.pop(EMBEDDING), self._profile.embedding)
        for name, values in measured.items():
            if name in self._counts:
                self._counts[name] += bin_counts(values[~np.isnan(values)], self._edges[name])
        if self._changes is not None and SCORE in measured:
            self._changes.add(measured[SCORE].tolist())
        for label in map(handler.label, predictions):
            if label is not None:
                self._label_counts[self._labels.get(label, -1)] += 1
        self._rows += len(rows)
        if self._rows >= WINDOW_ROWS or (now - self._since >= WINDOW_S and self._rows >= LEAST_ROWS):
            self.close_window()

    def close_window(self) -> float:
        """Report the window's distances, and report and return its p-value, adjusted for the number of measures."""
        profile = self._profile
        pairs = [(name, profile.measures[name].counts, counts) for name, counts in self._counts.items()]
        if self._labels:
            pairs.append(("label", (*profile.labels.values(), 0), self._label_counts))
        p_values = []
        for name, expected, counts in pairs:
            if counts.sum():
                reference = np.array(expected)
                self._report_distances(name, distances(reference, counts))
                p_values.append(p_value(reference, counts))
        adjusted = min(1.0, min(p_values, default=1.0) * max(len(p_values), 1))
        self._report_p_value(adjusted)
        self._report_window(make_window(self._rows, self._counts, self._labels, self._label_counts))
        self._begin()
        return adjusted


log = logging.getLogger(__name__)
# river's defaults: bound on false alarms, values between tests, buckets of a size, least values of a part, of all.
DELTA, CLOCK, BUCKETS, LEAST, GRACE = 0.002, 32, 5, 5, 10


class ScoreChanges:
    """A window of scores that grows while they stay alike, else drops its older part: ADWIN (A. Bifet, SDM 2007)."""

    def __init__(self, window: Callable[..., Any], report: Callable[[float, int], None]) -> None:
        self._scores, self._report = window(DELTA, CLOCK, BUCKETS, LEAST, GRACE), report

    def add(self, scores: Sequence[float]) -> None:
        """Add scores, and report the window's mean and how many changes they brought."""
        changes = sum(map(self._scores.update, scores))
        self._report(self._scores.get_total() / max(self._scores.get_width(), 1), changes)


def adaptive_window() -> Callable[..., Any] | None:
    """Return river's class of ADWIN windows, None if river isn't installed."""
    try:
        from river._river_rust.drift import AdaptiveWindowing
    except ImportError:
        log.info("river is not installed: changes of scores are not detected")
        return None
    window: Callable[..., Any] = AdaptiveWindowing
    return window


PREFIX = "embedding."
SMALLEST_NORM = 1e-12


def embedding_measures(vectors: Array, space: EmbeddingSpace) -> dict[str, Array]:
    """Return the measures of `vectors`, shape (rows, width), in the same way as the exporter's profile."""
    centre, axes = np.array(space.centre), np.array(space.axes)
    norms = np.linalg.norm(vectors, axis=1)
    measures = {
        PREFIX + "norm": norms,
        PREFIX + "cosine": vectors @ centre / np.maximum(norms * np.linalg.norm(centre), SMALLEST_NORM),
    }
    for number, along in enumerate(((vectors - centre) @ axes.T).T, 1):
        measures[f"{PREFIX}{number}"] = along
    return measures


LEAST_EXPECTED = 5.0  # rows that the test expects in a bin, at least
TINY = 1e-6


def bin_counts(values: Array, edges: Array) -> Counts:
    """Return how many values, none of them NaN, lie in each bin, shape (edges + 1,)."""
    counts: Counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return counts


def distances(reference: Counts, window: Counts) -> dict[str, float]:
    """Return three distances of two sets of counts, both of shape (bins,).

    They are the population stability index (N. Siddiqi, "Credit risk scorecards", 2006), the Jensen-Shannon divergence
    in bits (J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37, 1991), and the
    largest difference of the cumulative shares (N. Smirnov, Ann. Math. Stat. 19, 1948).
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
    """Return the chance of so large a difference between two draws of one population; rare bins are merged.

    It is the chi-squared test of two binned samples (W. Press et al., "Numerical recipes", 3rd ed., 14.3.1).
    """
    both = reference + window
    rare = both * (window.sum() / both.sum()) < LEAST_EXPECTED
    r, w = (np.append(counts[~rare], counts[rare].sum()) for counts in (reference, window))
    r, w = r[r + w > 0], w[r + w > 0]
    if len(r) < 2:
        return 1.0
    ratio = math.sqrt(w.sum() / r.sum())
    statistic = float(((ratio * r - w / ratio) ** 2 / (r + w)).sum())
    return chi_squared_tail(statistic, len(r) - 1)


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


class DriftMetrics:
    """Gauges and counters of one version's drift."""

    def __init__(self, client: Any, version: tuple[str, str]) -> None:
        self._client, self._version = client, version
        names = (*NAMES, "measure", "stat")
        self._distance = self._metric("Gauge", "drift", "Distance of the last window.", names, "livemax")
        self._p_value = self._child("Gauge", "drift_p_value", "Of the last window, all measures.", "livemin")
        self._windows = self._child("Counter", "drift_windows", "Windows judged.")
        self._alarms = self._child("Counter", "drift_alarms", "Windows that raised an alarm.")
        self._mean = self._child("Gauge", "score_mean", "Of the scores since they last changed.", "livemostrecent")
        self._changes = self._child("Counter", "score_changes", "Changes of the scores (ADWIN).")

    def _metric(self, kind: str, name: str, text: str, names: tuple[str, ...], mode: str = "") -> Any:
        options = {"multiprocess_mode": mode} if mode else {}
        return getattr(self._client, kind)(f"onnxserve_{name}", text, names, registry=None, **options)

    def _child(self, kind: str, name: str, text: str, mode: str = "") -> Any:
        return self._metric(kind, name, text, NAMES, mode).labels(*self._version)

    def set_distances(self, measure: str, stats: Mapping[str, float]) -> None:
        """Set one measure's distances in a window."""
        for stat, value in stats.items():
            self._distance.labels(*self._version, measure, stat).set(value)

    def set_p_value(self, p: float) -> None:
        """Set a window's p-value, and count the window and its alarm."""
        self._p_value.set(p)
        self._windows.inc()
        if p < FALSE_ALARM:
            self._alarms.inc()

    def set_scores(self, mean: float, changes: int) -> None:
        """Set the mean of the scores' window, and count their changes."""
        self._mean.set(mean)
        self._changes.inc(changes)


def why_not_judged(folder: Path) -> str:
    """Return why drift of an unpacked archive isn't judged here, empty if it is."""
    if not (folder / PROFILE).is_file():
        return "no profile"
    if not os.environ.get(VARIABLE):
        return f"no {VARIABLE}"
    return "" if find_spec("prometheus_client") else "prometheus_client isn't installed"


def make_drift(folder: Path, signature: Signature) -> Drift | None:
    """Return the drift of an unpacked archive; None where it isn't judged."""
    if why_not_judged(folder):
        return None
    import prometheus_client

    metrics = DriftMetrics(prometheus_client, (signature.model, signature.version))
    profile, window = msgspec.json.decode((folder / PROFILE).read_bytes(), type=Profile), adaptive_window()
    keep = window_file(signature.model, signature.version)
    changes = ScoreChanges(window, metrics.set_scores) if window and signature.labels else None
    return Drift(profile, metrics.set_distances, metrics.set_p_value, changes=changes, report_window=keep)
