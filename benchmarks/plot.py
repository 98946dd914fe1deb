"""Plot requests per second over the number of clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure

from .rivals import LIMITS, TITLES
from .summary import Summary

OURS, FIRST = "onnxserve: ", "default"


def plot(model: str, summary: Summary, target: Path) -> None:
    """Draw a line per server on logarithmic axes; the default path's line is thick."""
    figure = Figure(figsize=(9, 6))
    axes = figure.subplots()
    for name in summary.servers():
        rates = {clients: summary.of(name, clients, "rate") for clients in summary.clients()}
        points = [(clients, rate.median) for clients, rate in rates.items() if rate and rate.median]
        axes.loglog(*zip(*points, strict=True), marker=".", label=TITLES[name], **_style(name)) if points else None
    axes.set(xlabel="concurrent clients", ylabel="requests per second", title=model)
    axes.set_xticks(summary.clients(), [str(clients) for clients in summary.clients()])
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    rcParams["svg.hashsalt"] = "onnxserve"
    figure.savefig(target, format="svg", metadata={"Date": None}, bbox_inches="tight")


def _style(name: str) -> dict[str, Any]:
    if name in LIMITS:
        return {"linestyle": "--", "color": "grey", "linewidth": 1}
    if TITLES[name].startswith(OURS):
        return {"linewidth": 3 if name == FIRST else 2}
    return {"linewidth": 1, "linestyle": "-."}
