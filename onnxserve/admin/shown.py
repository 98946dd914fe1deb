"""The parts of an archive's documents that the console draws; the rest is for `archive explain`, and may be long.

A number may be null: JSON has no others for those that aren't finite.
"""

from __future__ import annotations

import msgspec

Number = float | None


class Loss(msgspec.Struct):
    """What a variant loses against its source: what was seen, and the most that the rows leave possible [share]."""

    drop: Number
    bound: Number


class Variant(msgspec.Struct):
    """A variant that was tried; its loss on the rows of the certificate, or on those that it was selected by."""

    variant: str
    paired: Loss | None = None
    select: Loss | None = None


class Parity(msgspec.Struct):
    """How far the traced graph is from its source for a size of batch, in spreads of the outputs."""

    group: str
    deviation: Number


class Summary(msgspec.Struct):
    """The proof, and the largest loss that was allowed [share]; one that was taken over has neither."""

    proof: str = ""
    budget: Number = None


class Evidence(msgspec.Struct):
    """The shown parts of `evidence.json`."""

    summary: Summary
    variants: list[Variant] = []
    parity: list[Parity] = []


class Measure(msgspec.Struct):
    """The distribution of a measure: the inner edges of its bins, and how many rows each bin has."""

    edges: list[float]
    counts: list[int]


class Profile(msgspec.Struct):
    """The shown parts of `profile.json`: distributions over the rows of the proof, and how often each label came."""

    rows: int
    measures: dict[str, Measure] = {}
    labels: dict[str, int] = {}
