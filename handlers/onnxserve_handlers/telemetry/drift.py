"""Drift: whether live rows still look like those that the model was proven on, a window against the archive's profile.

The rate of false alarms is stated: if the requests are independent draws of the profile's population, at most
FALSE_ALARM of the windows raise an alarm, over all measures together (Bonferroni), even if the rows of a request have
to do with each other, or a row comes again and again. Prometheus gets the results.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from ..signature import Signature
from .drift_window import Array, Counts, DriftWindow, bins_of, distances, p_value
from .metrics import NAMES, VARIABLE, Window, make_window, window_file

PROFILE = "profile.json"
FALSE_ALARM = 0.001  # of the windows
WINDOW_ROWS, WINDOW_S, LEAST_ROWS = 2_000, 600.0, 200
LEAST_REQUESTS = 50  # of a window: fewer don't tell how much the rows of a request have to do with each other
SCORE, EMBEDDING = "score", "embedding"
LABELS = ""  # in place of a measure's name, which may be a column `label`
GAP_S = 0.05  # between batches that are measured: it bounds the cost under any load


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
    """The content of `profile.json`. `most_alike` is how often its most frequent row is there, 0 if nobody counted."""

    rows: int
    measures: dict[str, Measure]
    labels: dict[str, int] = {}
    embedding: EmbeddingSpace | None = None
    most_alike: int = 0


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
        known = profile.labels if any(profile.labels.values()) else {}  # the proof may have no answer with a label
        self._labels = {label: index for index, label in enumerate(known)}
        self._expected = {name: np.array(measure.counts) for name, measure in profile.measures.items()}
        if self._labels:
            self._expected[LABELS] = np.array([*profile.labels.values(), 0])  # the last one is for unknown labels
        self._next = 0.0
        self._begin()

    def _begin(self) -> None:
        profile, sizes = self._profile, {name: len(counts) for name, counts in self._expected.items()}
        most_alike = profile.most_alike / profile.rows if profile.most_alike else 1.0
        self._since, self._window = self._now(), DriftWindow(sizes, most_alike)

    def is_due(self) -> bool:
        """Return whether to measure the current batch; under load most batches are skipped."""
        return self._now() >= self._next

    def add(self, requests: Sequence[Sequence[Any]], predictions: Sequence[Any], handler: Measures) -> None:
        """Measure a batch, given as the rows of each request, and close the window if it is full."""
        now = self._now()
        self._next = now + GAP_S
        rows = [row for own in requests for row in own]
        measured = {**handler.measures(rows), **handler.prediction_measures(predictions)}
        if self._profile.embedding is not None and EMBEDDING in measured:
            measured |= embedding_measures(measured.pop(EMBEDDING), self._profile.embedding)
        if self._changes is not None and SCORE in measured:
            self._changes.add(measured[SCORE].tolist())
        bins = {name: bins_of(measured[name], edges) for name, edges in self._edges.items() if name in measured}
        if self._labels:
            bins[LABELS] = self._label_bins(map(handler.label, predictions))
        window = self._window
        window.add(requests, bins)
        is_old = now - self._since >= WINDOW_S and window.rows >= LEAST_ROWS
        if window.requests >= LEAST_REQUESTS and (window.rows >= WINDOW_ROWS or is_old):
            self.close_window()

    def _label_bins(self, labels: Iterable[str | None]) -> Counts:
        unknown = len(self._labels)
        return np.array([-1 if label is None else self._labels.get(label, unknown) for label in labels], np.int64)

    def close_window(self) -> float:
        """Report the window's distances, and report and return its p-value, adjusted for the number of measures."""
        p_values = []
        for name, reference in self._expected.items():
            table = self._window.table(name)
            if table.any():
                self._report_distances(name or "label", distances(reference, table.sum(axis=0)))
                p_values.append(p_value(reference, table))
        adjusted = min(1.0, min(p_values, default=1.0) * max(len(p_values), 1))
        self._report_p_value(adjusted)
        seen = {name: self._window.seen(name) for name in self._expected}
        labels = seen.pop(LABELS, np.zeros(1, np.int64))
        self._report_window(make_window(self._window.rows, seen, self._labels, labels))
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
