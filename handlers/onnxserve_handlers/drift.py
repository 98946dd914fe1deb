"""Whether what comes still looks like what the model was proven on: windows of live rows against the archive's profile.

An alarm has a stated rate: over all measures of a window together, FALSE_ALARM of the windows whose rows are
independent draws of the profile's population raise one (Bonferroni).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from .changes import Changes
from .distances import counted, distances, p_value
from .embedding import Space, placed

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
