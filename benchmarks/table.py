"""The page that a benchmark writes: tables, plots, ratios, and who was skipped."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure

from .measure import CONCURRENCIES, Measured
from .rivals import rivals

OTHERS = "defghi"
TITLES = {rival.key: rival.title for rival in rivals("segment")} | {
    "raw": "limit: onnxruntime in process, no server",
    "nginx": "limit: nginx, empty answer, no model",
}
INTRO = """# Benchmarks

Written by `make bench` (`benchmarks/`). Every server gets the same rows and the same graph on the same machine,
{machine}; wrk runs beside it on the same cores. Rounds are interleaved and each is in another order; figures are
medians of rounds, the span in brackets is from the slowest to the fastest round. Absolute figures are this machine's;
the ratios are the result. While timing, the labels that come back are counted and compared with those that the rows
must give. Before, each server is loaded: those on Java, which compiles itself meanwhile, for longer; onnxserve is also
warmed up as `onnxserve serve` does before it says ready. CPU and memory are of all the server's processes (memory by
PSS), without the load generator.
"""


class Summary:
    """All rounds of one model."""

    def __init__(self, runs: Iterable[Measured]) -> None:
        self._runs = list(runs)

    def of(self, rival: str, concurrency: int, field: str) -> float | None:
        """Median over the rounds, None when it was not measured."""
        found = [getattr(one, field) for one in self._runs if (one.rival, one.concurrency) == (rival, concurrency)]
        return statistics.median(found) if found else None

    def span(self, rival: str, concurrency: int) -> tuple[float, float]:
        """Slowest and fastest round, requests per second."""
        found = [one.rate for one in self._runs if (one.rival, one.concurrency) == (rival, concurrency)]
        return min(found), max(found)

    def rivals(self) -> list[str]:
        """Who was measured, in the table's order."""
        present = {one.rival for one in self._runs}
        return [key for key in TITLES if key in present]


def rate_table(summary: Summary, concurrency: int) -> list[str]:
    """One row a rival."""
    lines = [
        f"| c = {concurrency} | requests/s | p50 ms | p99 ms | CPU s per 1,000 | memory MB | failed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for key in summary.rivals():
        rate = summary.of(key, concurrency, "rate")
        if rate is None:
            continue
        low, high = summary.span(key, concurrency)
        cells = [f"{rate:,.0f} [{low:,.0f}-{high:,.0f}]"]
        cells += [_cell(summary.of(key, concurrency, name)) for name in ("p50_ms", "p99_ms", "cpu_s_per_1000")]
        cells.append(_cell(summary.of(key, concurrency, "megabytes"), 0))
        cells.append(f"{summary.of(key, concurrency, 'failed') or 0:.0f}")
        name = f"**{TITLES[key]}**" if key == "c" else TITLES[key]
        lines.append(f"| {key if len(key) == 1 else ''} {name} | {' | '.join(cells)} |")
    return lines


def _cell(value: float | None, digits: int = 2) -> str:
    return f"{value:,.{digits}f}" if value else "-"


def ratios(model: str, summary: Summary) -> list[str]:
    """What onnxserve does against the others, in words."""
    lines: list[str] = []
    concurrency = 16 if model == "sentiment" else 64
    ours = summary.of("c", concurrency, "rate")
    if not ours:
        return lines
    for key, words in (("a", "TorchServe out of the box"), ("b", "TorchServe tuned with its own worker")):
        if other := summary.of(key, concurrency, "rate"):
            lines.append(f"- c={concurrency}: {ours / other:.1f} times {words} (a ratio of medians)")
    best = max(((summary.of(key, concurrency, "rate") or 0, key) for key in OTHERS), default=(0, ""))
    if best[0]:
        lines.append(f"- c={concurrency}: {ours / best[0]:.1f} times the best of (d) to (i), {TITLES[best[1]]}")
    for key, words in (("raw", "raw onnxruntime"), ("nginx", "an empty answer by nginx")):
        if limit := summary.of(key, concurrency, "rate"):
            lines.append(f"- c={concurrency}: {100 * ours / limit:.0f} % of {words}")
    alone = sorted(
        (value, key) for key in (*OTHERS, "a", "b") if (value := summary.of(key, 1, "p50_ms")) is not None and value
    )
    mine = summary.of("c", 1, "p50_ms")
    if alone and mine:
        lines.append(f"- c=1: p50 {mine:.2f} ms; the fastest rival, {TITLES[alone[0][1]]}: {alone[0][0]:.2f} ms")
    return lines


def plot(model: str, summary: Summary, target: Path) -> None:
    """Requests per second over concurrency, one line a rival, both axes logarithmic."""
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    for key in summary.rivals():
        points = [(c, rate) for c in CONCURRENCIES if (rate := summary.of(key, c, "rate"))]
        style: dict[str, Any] = {"linewidth": 3 if key == "c" else 1}
        style |= {"linestyle": "--", "color": "grey"} if len(key) > 1 else {}
        axes.loglog([c for c, _ in points], [rate for _, rate in points], marker=".", label=TITLES[key], **style)
    axes.set(xlabel="concurrent clients", ylabel="requests per second", title=model)
    axes.set_xticks(CONCURRENCIES, [str(c) for c in CONCURRENCIES])
    axes.legend(fontsize="small")
    rcParams["svg.hashsalt"] = "onnxserve"
    figure.savefig(target, format="svg", metadata={"Date": None}, bbox_inches="tight")


def write_page(page: Path, machine: dict[str, Any], runs: list[Measured], skipped: dict[str, str]) -> None:
    """The page and its plots beside it."""
    where = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = [INTRO.format(machine=where)]
    for model in dict.fromkeys(run.model for run in runs):
        summary = Summary(run for run in runs if run.model == model)
        target = page.with_name(f"{page.stem}-{model}.svg")
        plot(model, summary, target)
        rounds = max(Counter((run.rival, run.concurrency) for run in runs if run.model == model).values())
        lines += [
            f"## {model}",
            "",
            f"{rounds} round{'s' if rounds > 1 else ''}.",
            "",
            *ratios(model, summary),
            "",
            f"![requests per second]({target.name})",
            "",
        ]
        for concurrency in CONCURRENCIES:
            lines += [*rate_table(summary, concurrency), ""]
    lines += ["## Skipped", ""]
    lines += [f"- {key}: {reason.splitlines()[0]}" for key, reason in skipped.items()] or ["Nobody."]
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
