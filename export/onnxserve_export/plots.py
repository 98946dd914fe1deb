"""Geometry of the report's plots: where on its line, from 0 to 100, each mark of a variant lies."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BARS = 60  # nodes shown at most, the most damaging
BEYOND = 4.0  # budgets: a bound beyond them stands at the plot's edge
MARKS = 5  # on an axis, about
CHOSEN, ACCEPTED, REFUSED = "chosen", "accepted", "refused"


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a value lies [percent of the axis]; one beyond its ends lies at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(100 * share, 2) + 0.0  # which leaves no zero with a sign

    def marks(self) -> list[float]:
        """Return round values on the axis."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / MARKS))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= MARKS)
        return [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


@dataclass(frozen=True)
class Loss:
    """What one variant loses: as measured, at most, and the share of answers that change."""

    variant: str
    drop: float
    bound: float
    changed: float
    is_certified: bool  # on the certify rows; else on the select rows
    outcome: str
    is_beyond: bool  # its bound lies beyond the axis


@dataclass(frozen=True)
class LossPlot:
    """The losses of all variants that ran, beside the budget."""

    losses: list[Loss]
    scale: Scale
    budget: float


@dataclass(frozen=True)
class Speed:
    """The times of one variant, or of the source: of a batch, and of a row alone [ms]; how often it is as fast."""

    variant: str
    batch: float
    alone: float | None
    ratio: float | None
    outcome: str


@dataclass(frozen=True)
class SpeedPlot:
    """The times of all variants and of the source, the slowest first."""

    speeds: list[Speed]
    scale: Scale


def outcome_of(result: Mapping[str, Any], chosen: str) -> str:
    """Return what became of a variant."""
    if result["variant"] == chosen:
        return CHOSEN
    return REFUSED if result["refusal"] else ACCEPTED


def loss_plot(variants: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> LossPlot | None:
    """Place the losses of variants; None if no row was there to measure them."""
    shown = [(result, result["paired"] or result["select"]) for result in variants]
    measured = [(result, paired) for result, paired in shown if paired]
    if not measured:
        return None
    budget = float(summary["budget"])
    widest = max(budget, *(max(paired["bound"], paired["flips"]) for _, paired in measured))
    limit = BEYOND * budget if budget else widest
    lowest = min(0.0, *(paired["drop"] for _, paired in measured))
    scale = Scale(max(-limit, 1.1 * lowest), 1.1 * min(widest, limit) or 0.01)
    losses = [
        Loss(
            result["variant"],
            paired["drop"],
            paired["bound"],
            paired["flips"],
            result["paired"] is not None,
            outcome_of(result, str(summary.get("variant"))),
            paired["bound"] > scale.high,
        )
        for result, paired in measured
    ]
    return LossPlot(losses, scale, budget)


def milliseconds(document: Mapping[str, Any], batch: int) -> dict[str, float]:
    """Return the time of a row by variant at a batch size, on the threads that serve [ms]."""
    threads = (document.get("served") or {}).get("threads")
    return {
        timing["variant"]: timing["ms"]
        for timing in document.get("timings", ())
        if (timing["threads"], timing["batch"]) == (threads, batch)
    }


def speed_plot(document: Mapping[str, Any]) -> SpeedPlot | None:
    """Place the times of a batch of the size that is served; None if nothing was timed."""
    summary, setting = document["summary"], document.get("served") or {}
    size = setting.get("batch", 0)
    rows, alone = milliseconds(document, size), milliseconds(document, 1)
    if not rows:
        return None
    outcomes = {each["variant"]: outcome_of(each, str(summary.get("variant"))) for each in document["variants"]}
    source = rows.get(source_of(summary))
    speeds = [
        Speed(
            variant,
            size * row,
            alone.get(variant) if size > 1 else None,
            source / row if source and variant in outcomes else None,
            outcomes.get(variant, "source"),
        )
        for variant, row in sorted(rows.items(), key=lambda item: -item[1])
    ]
    return SpeedPlot(speeds, Scale(0.0, max(max(speed.batch, speed.alone or 0.0) for speed in speeds)))


def source_of(summary: Mapping[str, Any]) -> str:
    """Return the name of what the variants are compared with; until 0.2 it was torch alone."""
    return str(summary.get("source", "torch"))


def sensitivity_bars(
    sensitivity: Mapping[str, Any] | None, kept: Collection[str]
) -> list[tuple[str, float, float, bool]]:
    """Return each node's name, damage, bar length from 0 to 1 on a log scale, and whether it stays in float."""
    damage = sorted((sensitivity or {}).get("damage", {}).items(), key=lambda item: -item[1])[:BARS]
    if not damage:
        return []
    logs = [math.log10(max(value, 1e-9)) for _, value in damage]
    low, span = min(logs), (max(logs) - min(logs)) or 1.0
    return [
        (name, value, 0.05 + 0.95 * (log - low) / span, name in kept)
        for (name, value), log in zip(damage, logs, strict=True)
    ]
