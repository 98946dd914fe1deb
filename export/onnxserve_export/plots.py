"""Geometry of the report's two plots, which the template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, EDGE = 640, 320, 48
BARS = 60  # nodes shown at most, the most damaging


@dataclass(frozen=True)
class Point:
    """One variant in the plot: to the right is faster, further down more exact, and a larger circle more megabytes."""

    x: float
    y: float
    radius: float
    variant: str
    speedup: float
    bound: float
    passed: bool
    certified: bool


@dataclass(frozen=True)
class Pareto:
    """All variants that ran, and the budget's line. Bounds are of the certify rows, else of the select rows."""

    points: list[Point]
    budget_y: float
    fastest: float
    worst: float


def pareto(
    variants: list[Mapping[str, Any]], ms: Mapping[str, float], budget: float, source: str = "torch"
) -> Pareto | None:
    """Place variants by speed and bound; None where nothing was timed.

    Speed is compared with the `source`, as `ms` calls it.

    Bounds have a root scale, since those of refused variants may be a hundred times larger.
    """
    shown = [result for result in variants if result["select"] and result["variant"] in ms]
    if not shown or source not in ms:
        return None
    speedups = {result["variant"]: ms[source] / ms[result["variant"]] for result in shown}
    fastest = max(1.0, *speedups.values())
    bounds = {result["variant"]: (result["paired"] or result["select"])["bound"] for result in shown}
    worst = max(budget, *bounds.values()) or 1.0
    largest = max(result["megabytes"] for result in shown)

    def height(bound: float) -> float:
        return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * math.sqrt(max(0.0, bound) / worst)

    points = [
        Point(
            EDGE + (WIDTH - 2 * EDGE) * speedups[result["variant"]] / fastest,
            height(bounds[result["variant"]]),
            4 + 10 * math.sqrt(result["megabytes"] / largest),
            result["variant"],
            speedups[result["variant"]],
            bounds[result["variant"]],
            not result["refusal"],
            result["paired"] is not None,
        )
        for result in shown
    ]
    return Pareto(points, height(budget), fastest, worst)


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
