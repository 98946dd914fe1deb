"""Geometry of the report's two plots; the template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .timing import TORCH

WIDTH, HEIGHT, EDGE = 640, 320, 48
BARS = 60  # nodes shown at most, the most damaging


@dataclass(frozen=True)
class Point:
    """One variant: right is faster, down is more exact, larger is more megabytes."""

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
    """All variants that ran, and where the budget lies. Bounds are of the certify rows, else of the select rows."""

    points: list[Point]
    budget_y: float
    fastest: float
    worst: float


def pareto(variants: list[Mapping[str, Any]], ms: Mapping[str, float], budget: float) -> Pareto | None:
    """Bounds on a root scale, since the refused may be a hundred times worse; None where nothing was timed."""
    shown = [one for one in variants if one["select"] and one["variant"] in ms]
    if not shown or TORCH not in ms:
        return None
    speedups = {one["variant"]: ms[TORCH] / ms[one["variant"]] for one in shown}
    fastest = max(1.0, *speedups.values())
    bounds = {one["variant"]: (one["paired"] or one["select"])["bound"] for one in shown}
    worst = max(budget, *bounds.values()) or 1.0
    largest = max(one["megabytes"] for one in shown)

    def height(bound: float) -> float:
        return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * math.sqrt(max(0.0, bound) / worst)

    points = [
        Point(
            EDGE + (WIDTH - 2 * EDGE) * speedups[one["variant"]] / fastest,
            height(bounds[one["variant"]]),
            4 + 10 * math.sqrt(one["megabytes"] / largest),
            one["variant"],
            speedups[one["variant"]],
            bounds[one["variant"]],
            not one["refusal"],
            one["paired"] is not None,
        )
        for one in shown
    ]
    return Pareto(points, height(budget), fastest, worst)


def bars(sensitivity: Mapping[str, Any] | None, kept: Collection[str]) -> list[tuple[str, float, float, bool]]:
    """Name, damage, length from 0 to 1 on a log scale, and whether the node stays in float."""
    damage = sorted((sensitivity or {}).get("damage", {}).items(), key=lambda item: -item[1])[:BARS]
    if not damage:
        return []
    logs = [math.log10(max(value, 1e-9)) for _, value in damage]
    low, span = min(logs), (max(logs) - min(logs)) or 1.0
    return [
        (name, value, 0.05 + 0.95 * (log - low) / span, name in kept)
        for (name, value), log in zip(damage, logs, strict=True)
    ]
