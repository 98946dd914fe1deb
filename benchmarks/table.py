"""Write a benchmark's page: targets, tables, plots, and reasons for missing figures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .plot import plot
from .rivals import TITLES, servers
from .rounds import Results
from .summary import Spread, Summary, spread
from .targets import target_table

DEFAULT, GLANCE, ALONE = "default", 64, 1
SLANTED = 0.01  # above this share, refusals distort the latencies
INTRO = """# Benchmarks

Written by `make bench` (`benchmarks/`) on one machine: {machine}.
Every server gets the same rows and the same graph.
The load generator, wrk, runs on the same cores. "Default path" is what `onnxserve serve` starts, gateway included.

- All servers of a model are started and warmed up once. Rounds measure them in changing order; SIGSTOP pauses the
  others meanwhile.
- A figure is the median of the rounds; brackets give the lowest and the highest. A ratio is the median of the rounds'
  ratios. Absolute figures hold for this machine only; the ratios are the result.
- Before the rounds, the labels of all rows are compared with the archive's. During the rounds, wrk counts the labels in
  the answers. A request counts only if its answer has status 200 and a label; the tables list the others.
- † marks latencies that include refusals.
- Our archives have no p99 target here, since with so many clients our server would refuse some to meet it.
- CPU time and memory (PSS) cover all processes of a server, without the load generator.
- Of the servers made for text embeddings and text classifiers, Infinity (`infinity-emb`) takes part for `sentiment`.
  Text Embeddings Inference has no wheel.
"""


def write_page(page: Path, results: Results) -> None:
    """Write the page, and its plots to the same folder."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    lines = [INTRO.format(machine=machine)]
    if others := spread(results.others):
        lines += [
            f"Before a round, other processes used {others.median:.0f} % of the CPU time, {others.high:.0f} % at most.",
            "",
        ]
    for model in dict.fromkeys(run.model for run in results.runs):
        summary = Summary(run for run in results.runs if run.model == model)
        picture = page.with_name(f"{page.stem}-{model}.svg")
        plot(model, summary, picture)
        lines += [f"## {model}", "", f"{summary.rounds()} rounds.", ""]
        lines += [*glance(summary, _reasons(results, model)), "", *target_table(model, summary), ""]
        lines += [f"![requests per second]({picture.name})", ""]
        for clients in summary.clients():
            lines += [*rate_table(summary, clients, _reasons(results, model)), ""]
        lines += [*memory_table(summary, results, model), ""]
    lines += [*setup_table(), "", f"Versions: {', '.join(results.versions.values()) or 'none but ours'}."]
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _reasons(results: Results, model: str) -> dict[str, str]:
    """Return the first line of each failed server's reason, by server name."""
    failures = results.failures.get(model, {})
    return {name: (reason.splitlines() or ["?"])[0] for name, reason in failures.items()}


def _rows(summary: Summary, reasons: dict[str, str]) -> list[str]:
    present = {*summary.servers(), *reasons}
    return [name for name in TITLES if name in present]


def glance(summary: Summary, reasons: dict[str, str]) -> list[str]:
    """Build a row per server: requests/s with 64 clients, its ratio to the default path, the latency of one client."""
    lines = [
        f"| server | requests/s, {GLANCE} clients | default path / it | p50 of one client, ms |",
        "|---|--:|--:|--:|",
    ]
    for name in _rows(summary, reasons):
        rate, ratio = summary.of(name, GLANCE, "rate"), summary.ratio(DEFAULT, name, GLANCE, "rate")
        cells = [wide(rate), f"{ratio.median:.2f}" if ratio else "-", plain(summary.of(name, ALONE, "p50_ms"))]
        lines.append(f"| {_title(name)}{_why(reasons.get(name))} | {' | '.join(cells)} |")
    return lines


def rate_table(summary: Summary, clients: int, reasons: dict[str, str]) -> list[str]:
    """Build a row per server; a failed server's row has the reason and its finished rounds."""
    lines = [
        f"| {clients} client{'s' if clients > 1 else ''} | requests/s | p50 ms | p99 ms | CPU s per 1,000 | refused |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for name in _rows(summary, reasons):
        refused, sent = summary.refused(name, clients), summary.requests(name, clients)
        mark = "†" if sum(refused.values()) > SLANTED * max(1, sent) else ""
        cells = [wide(summary.of(name, clients, "rate"))]
        cells += [f"{plain(summary.of(name, clients, figure))}{mark}" for figure in ("p50_ms", "p99_ms")]
        cells += [plain(summary.of(name, clients, "cpu_s_per_1000")), _kinds(refused)]
        lines.append(f"| {_title(name)}{_why(reasons.get(name))} | {' | '.join(cells)} |")
    return lines


def memory_table(summary: Summary, results: Results, model: str) -> list[str]:
    """Build a row per server: memory in MB, total and by program, and seconds until the first answer."""
    ready = {start.server: start.ready_s for start in results.starts if start.model == model}
    lines = ["| memory and start | MB | by program | first answer after s |", "|---|--:|---|--:|"]
    for name in summary.servers():
        if programs := summary.memory_mb(name):
            parts = ", ".join(f"{program} {value:,.0f}" for program, value in sorted(programs.items()))
            after = f"{ready[name]:.1f}" if name in ready else "-"
            lines.append(f"| {_title(name)} | {sum(programs.values()):,.0f} | {parts} | {after} |")
    return lines


def setup_table() -> list[str]:
    """Build a row per server: its configuration."""
    threads = "Each process of a rival runs its graph with one thread. Infinity has one process with a thread per core."
    lines = ["## How each is set up", "", threads, ""]
    lines += ["| server | set-up |", "|---|---|"]
    return lines + [f"| {server.title} | {server.setup} |" for server in servers("sentiment")]  # those of all models


def _title(name: str) -> str:
    return f"**{TITLES[name]}**" if name == DEFAULT else TITLES[name]


def _why(reason: str | None) -> str:
    return f" (failed: {reason.replace('|', '/')})" if reason else ""


def wide(value: Spread | None) -> str:
    """Format a median with minimum and maximum, as whole numbers."""
    return f"{value.median:,.0f} [{value.low:,.0f}-{value.high:,.0f}]" if value else "-"


def plain(value: Spread | None) -> str:
    """Format a median with two decimals."""
    return f"{value.median:,.2f}" if value and value.median else "-"


def _kinds(refused: dict[str, int]) -> str:
    total: Iterable[str] = (f"{count:,} x {kind}" for kind, count in sorted(refused.items()))
    return ", ".join(total) or "0"
