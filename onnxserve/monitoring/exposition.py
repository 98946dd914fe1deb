"""Metrics in Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

Labels = tuple[str, ...]
OTHER = "other"
MOST_SERIES = 1000


class Counter:
    """A counter with labels; beyond `most` combinations of values the rest is counted as `other`."""

    def __init__(self, name: str, text: str, labels: Labels = (), most: int = MOST_SERIES) -> None:
        self._name, self._text, self._labels, self._most = name, text, labels, most
        self._counts: dict[Labels, float] = {}

    def add(self, values: Labels = (), count: float = 1) -> None:
        """Add to the counter of these label values."""
        if values not in self._counts and len(self._counts) >= self._most:
            values = (OTHER,) * len(values)
        self._counts[values] = self._counts.get(values, 0) + count

    def value(self, values: Labels = ()) -> float:
        """Return the count so far."""
        return self._counts.get(values, 0)

    def lines(self) -> Iterator[str]:
        """Yield the lines; a counter without labels starts at 0."""
        yield from head(self._name, self._text, "counter")
        for values, count in (self._counts or ({} if self._labels else {(): 0.0})).items():
            yield sample(self._name, self._labels, values, count)


class Histogram:
    """A histogram with labels; each bucket counts the values up to its bound."""

    def __init__(self, name: str, text: str, labels: Labels, bounds: Sequence[float], most: int = MOST_SERIES) -> None:
        self._name, self._text, self._labels, self._most = name, text, labels, most
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, values: Labels, value: float, times: int = 1) -> None:
        """Add `times` observations of a value for these label values."""
        if values not in self._counts and len(self._counts) >= self._most:
            values = (OTHER,) * len(values)
        counts = self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += times
        self._sums[values] = self._sums.get(values, 0.0) + value * times

    def lines(self) -> Iterator[str]:
        """Yield the lines; each bucket has all values up to its bound."""
        yield from head(self._name, self._text, "histogram")
        names, bounds = (*self._labels, "le"), [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                yield sample(f"{self._name}_bucket", names, (*values, bound), total)
            yield sample(f"{self._name}_sum", self._labels, values, self._sums[values])
            yield sample(f"{self._name}_count", self._labels, values, total)


def gauge(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Iterator[str]:
    """Yield the lines of a gauge, by label values."""
    yield from head(name, text, "gauge")
    for label_values, value in values.items():
        yield sample(name, labels, label_values, value)


def head(name: str, text: str, kind: str) -> list[str]:
    """Return the two lines before a metric's samples."""
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def sample(name: str, labels: Labels, values: Labels, value: float) -> str:
    """Return the line of one sample."""
    pairs = ",".join(f'{label}="{escape(text)}"' for label, text in zip(labels, values, strict=True))
    return f"{name}{{{pairs}}} {value!r}" if pairs else f"{name} {value!r}"


def escape(text: str) -> str:
    """Escape a label value for quotes."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
