"""Performance targets of onnxserve, as ratios to other servers of the same run."""

from __future__ import annotations

from dataclasses import dataclass

from .rivals import TITLES
from .summary import Figure, Summary

WORDS: dict[Figure, str] = {"rate": "requests/s", "p50_ms": "p50"}


@dataclass(frozen=True)
class Target:
    """A figure's ratio between two servers, and its bound."""

    over: str
    under: str
    clients: int
    bound: float
    figure: Figure = "rate"

    @property
    def at_least(self) -> bool:
        """Return whether the bound is a minimum: speed should be high, latency low."""
        return self.figure == "rate"

    def reached(self, ratio: float) -> bool:
        """Return whether a ratio satisfies the bound."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound


FEATURES = [  # a small model: HTTP costs more than the graph
    Target("default", "direct", 64, 0.55),
    Target("default", "mosec", 64, 1.2),
    Target("default", "mosec", 256, 1.0),
    Target("default", "triton", 64, 1.2),
    Target("default", "fastapi", 64, 2.0),
    Target("default", "fastapi", 1, 1.4, "p50_ms"),
    Target("keys", "default", 64, 0.85),
    Target("cache", "default", 64, 2.0),
    Target("cache", "direct", 64, 2.0),
]
GRAPHS = [Target("default", "direct", clients, 0.97) for clients in (64, 256)]
TEXTS = [
    Target("default", "fastapi", 16, 1.15),
    Target("default", "fastapi", 64, 1.15),
    Target("default", "mosec", 64, 1.3),
    Target("default", "fastapi-fp32", 64, 2.3),
    Target("default", "torchserve", 64, 30.0),
    Target("default", "fastapi", 1, 1.0, "p50_ms"),
    Target("default", "onnxruntime", 64, 0.95),
]
IMAGES = [
    Target("default", "onnxruntime", 64, 0.9),
    Target("default", "litserve", 64, 2.0),
    Target("default", "mosec", 64, 2.0),
    Target("default", "mosec", 256, 1.2),
]
TARGETS = {"segment": FEATURES, "sentiment": [*GRAPHS, *TEXTS], "digits": [*GRAPHS, *IMAGES]}


def target_table(model: str, summary: Summary) -> list[str]:
    """Build a row per target, including targets without a measurement."""
    lines = [
        "| target | bound | median [least-greatest] of rounds | costs | reached |",
        "|---|--:|--:|--:|---|",
    ]
    return lines + [row(target, summary) for target in TARGETS[model]]


def row(target: Target, summary: Summary) -> str:
    """Format a target's ratio, cost and verdict; the cost is how far the first server is behind the second."""
    names = f"{TITLES[target.over]} / {TITLES[target.under].removeprefix('onnxserve: ')}"
    clients = "1 client" if target.clients == 1 else f"{target.clients} clients"
    head = f"{names}, {WORDS[target.figure]}, {clients} | {'≥' if target.at_least else '≤'} {target.bound:.2f}"
    ratio = summary.ratio(target.over, target.under, target.clients, target.figure)
    if ratio is None:
        return f"| {head} | - | - | not measured |"
    cost = f"{100 * (1 - ratio.median):.1f} %" if target.at_least and ratio.median < 1 else "-"
    verdict = "yes" if target.reached(ratio.median) else "**no**"
    return f"| {head} | {ratio.median:.2f} [{ratio.low:.2f}-{ratio.high:.2f}] | {cost} | {verdict} |"
