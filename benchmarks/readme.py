"""The README's table of figures: one row per model; the default path first, then the fastest other server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .rivals import RIVALS, TITLES
from .rounds import Results
from .summary import Summary
from .table import ALONE, DEFAULT, GLANCE, plain, wide

BEGIN, END = "<!-- benchmarks: written by make bench -->", "<!-- benchmarks: end -->"
PLAIN_RIVAL = "fastapi"


def into_readme(readme: Path, results: Results, models: list[str]) -> None:
    """Replace the table between the two markers of the README; raise ValueError if a marker is missing."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{readme} has no {BEGIN} … {END}")
    table = "\n".join(readme_table(results, models))
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def unmeasured(results: Results, models: list[str]) -> list[str]:
    """Return the models without a measurement of the default path."""
    measured = {run.model for run in results.runs if (run.server, run.clients) == (DEFAULT, GLANCE)}
    return [model for model in models if model not in measured]


def readme_table(results: Results, models: list[str]) -> list[str]:
    """Build the table in Markdown: requests/s with 64 clients as median [min-max] of rounds; latency of one client."""
    rival = TITLES[PLAIN_RIVAL]
    servers = f"default path | fastest other server | {rival}"
    lines = [
        f"| requests/s, {GLANCE} clients | {servers} | one client, p50 ms: default path; {rival.split(',')[0]} |",
        "|---|--:|--:|--:|--:|",
    ]
    for model in models:
        summary = Summary(run for run in results.runs if run.model == model)
        rates = [
            _rate(summary, DEFAULT),
            _fastest(summary, results.failures.get(model, {})),
            _rate(summary, PLAIN_RIVAL),
        ]
        latencies = "; ".join(plain(summary.of(name, ALONE, "p50_ms")) for name in (DEFAULT, PLAIN_RIVAL))
        lines.append(f"| `{model}` | {' | '.join(rates)} | {latencies} |")
    return lines


def _rate(summary: Summary, name: str) -> str:
    return wide(summary.of(name, GLANCE, "rate"))


def _fastest(summary: Summary, failures: Mapping[str, str]) -> str:
    """Return the other server with the highest median, even if it is slower than ours; none that failed under load."""
    running = [name for name in RIVALS if name not in failures]
    rates = {name: rate.median for name in running if (rate := summary.of(name, GLANCE, "rate"))}
    name = max(rates, key=rates.__getitem__, default="")
    return f"{TITLES[name]} {_rate(summary, name)}" if name else "-"
