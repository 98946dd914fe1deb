"""The curves of a tuning, drawn into the report beside the archive."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure

from .point import Tuning
from .state import Measurements

BEGIN, END = "<!-- tuning -->", "<!-- /tuning -->"
rcParams["svg.hashsalt"] = "onnxserve"  # the same curves give the same bytes


def svg(figure: Figure) -> str:
    """Return a figure as an element for a page; it has no date, so the same figure gives the same text."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None}, bbox_inches="tight")
    text = stream.getvalue()
    return text[text.index("<svg") :]


def throughput(measured: Measurements, p99_ms: float) -> str:
    """Return a plot of p99 [ms] over the answered rate [requests/s], one line a setting, and of the objective."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for point in sorted({search.point for search in measured.rounds}):
        runs = [run for search in measured.rounds if search.point == point for run in search.runs]
        shown = sorted((run.answered, min(run.p99_ms, 4 * p99_ms)) for run in runs)
        axes.plot([rate for rate, _ in shown], [p99 for _, p99 in shown], marker=".", label=str(point))
    axes.axhline(p99_ms, color="grey", linestyle="--", label="objective")
    axes.set(xlabel="requests per second", ylabel="p99, ms", title="Latency against rate")
    axes.legend()
    return svg(figure)


def plot_batch_times(measured: Measurements) -> str:
    """Return a plot of a batch's time [ms] over its size [rows], by threads and length."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for threads, length in sorted({(timing.threads, timing.length) for timing in measured.times}):
        line = [
            (timing.batch, timing.ms)
            for timing in measured.times
            if (timing.threads, timing.length) == (threads, length)
        ]
        label = f"{threads} threads, {length} bytes"
        axes.plot([batch for batch, _ in line], [ms for _, ms in line], marker=".", label=label)
    axes.set(xlabel="requests in the batch", ylabel="ms", title="Time of a batch in the worker")
    axes.legend()
    return svg(figure)


def section(tuning: Tuning, measured: Measurements) -> str:
    """Return the part of the report that a tuning writes, as HTML."""
    machine = ", ".join(f"{name} {value}" for name, value in tuning.machine.items())
    text = (
        f"<h2>Tuning</h2><p>{tuning.point}: {tuning.requests_per_second:.0f} requests per second "
        f"(95 % interval {tuning.low:.0f} to {tuning.high:.0f}, {tuning.rounds} rounds) with p99 at most "
        f"{tuning.p99_ms:g} ms, load generator on the same machine: {machine}.</p>"
    )
    charts = [throughput(measured, tuning.p99_ms), plot_batch_times(measured)]
    return "\n".join([BEGIN, text, *(f"<figure>{chart}</figure>" for chart in charts), END])


def write_section(report: Path, text: str) -> None:
    """Put the section at the end of the page, in place of an earlier one; a page of its own where there is none."""
    page = report.read_text(encoding="utf-8") if report.is_file() else "<!doctype html><html><body></body></html>"
    if BEGIN in page:
        before, _, rest = page.partition(BEGIN)
        page = before + rest.partition(END)[2].lstrip("\n")
    head, _, tail = page.rpartition("</body>")
    report.write_text(f"{head}{text}\n</body>{tail}", encoding="utf-8")
