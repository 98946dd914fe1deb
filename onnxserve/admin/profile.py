"""The parts of a profile that the console draws: distributions over the rows of the proof."""

from __future__ import annotations

import msgspec


class Measure(msgspec.Struct):
    """The distribution of a measure: the inner edges of its bins, and how many rows each bin has."""

    edges: list[float]
    counts: list[int]


class Profile(msgspec.Struct):
    """The shown parts of `profile.json`: the distributions by measure, and how often each label came."""

    rows: int
    measures: dict[str, Measure] = {}
    labels: dict[str, int] = {}
