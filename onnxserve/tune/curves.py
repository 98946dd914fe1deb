"""The curves of a tuning, drawn into the report beside the archive."""

from __future__ import annotations

import math
from pathlib import Path

import pygal
from pygal.style import CleanStyle

from .point import Tuning
from .state import Measured

BEGIN, END = "<!-- tuning -->", "<!-- /tuning -->"


def chart(title: str, x: str, y: str) -> pygal.XY:
    """An empty chart without scripts, so that the page needs no network."""
    made = pygal.XY(js=[], style=CleanStyle, title=title, x_title=x, y_title=y, height=420, dots_size=3)
    made.config.disable_xml_declaration = True
    return made


def throughput(measured: Measured, p99_ms: float) -> pygal.XY:
    """p99 over the rate answered, one line a setting."""
    made = chart(f"Latency against rate (objective: p99 {p99_ms:g} ms)", "requests per second", "p99, ms")
    for point in sorted({one.point for one in measured.rounds}):
        runs = [run for one in measured.rounds if one.point == point for run in one.runs]
        shown = sorted((run.answered, run.p99_ms) for run in runs if math.isfinite(run.p99_ms))
        made.add(str(point), [(rate, min(p99, 4 * p99_ms)) for rate, p99 in shown])
    return made


def batching(measured: Measured) -> pygal.XY:
    """Time of a batch over its size, by threads and length."""
    made = chart("Time of a batch in the worker", "requests in the batch", "ms")
    for threads, length in sorted({(one.threads, one.length) for one in measured.times}):
        line = [(one.batch, one.ms) for one in measured.times if (one.threads, one.length) == (threads, length)]
        made.add(f"{threads} threads, {length} bytes", line)
    return made


def section(tuning: Tuning, measured: Measured) -> str:
    """The part of the report that a tuning writes."""
    machine = ", ".join(f"{name} {value}" for name, value in tuning.machine.items())
    text = (
        f"<h2>Tuning</h2><p>{tuning.point}: {tuning.requests_per_second:.0f} requests per second "
        f"(95 % interval {tuning.low:.0f} to {tuning.high:.0f}, {tuning.rounds} rounds) with p99 at most "
        f"{tuning.p99_ms:g} ms, load generator on the same machine: {machine}.</p>"
    )
    charts = [throughput(measured, tuning.p99_ms).render(is_unicode=True), batching(measured).render(is_unicode=True)]
    return "\n".join([BEGIN, text, *(f"<figure>{one}</figure>" for one in charts), END])


def write_section(report: Path, text: str) -> None:
    """Put the section at the end of the page, in place of an earlier one; a page of its own where there is none."""
    page = report.read_text(encoding="utf-8") if report.is_file() else "<!doctype html><html><body></body></html>"
    if BEGIN in page:
        before, _, rest = page.partition(BEGIN)
        page = before + rest.partition(END)[2].lstrip("\n")
    head, _, tail = page.rpartition("</body>")
    report.write_text(f"{head}{text}\n</body>{tail}", encoding="utf-8")
