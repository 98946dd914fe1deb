"""`python -m benchmarks`: compare onnxserve with other servers; write the page and the table of the README."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import platform
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from onnxserve.tuning.tuner import cpu_name

from . import ROOT
from .arguments import MODELS, add_models, make_parser, names
from .measure import CONCURRENCIES
from .plan import Plan
from .prepare import BENCH, prepare
from .readme import into_readme, unmeasured
from .rivals import LIMITS, TITLES, servers
from .rounds import Results, Rounds, install
from .table import write_page

RESULTS = BENCH / "results.json"


def machine() -> dict[str, Any]:
    """Describe the machine that the results come from."""
    return {
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with a message if a name is unknown."""
    parser = make_parser("__main__", "Compare onnxserve with other servers.", "benchmarks.md")
    readme = "replace the marked table of this file (default: README.md)"
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", metavar="FILE", help=readme)
    add_models(parser)
    all_servers, counts = list(TITLES), [str(count) for count in CONCURRENCIES]
    which = f"measure these servers, of {','.join(all_servers)} (default: all)"
    parser.add_argument("--servers", type=names, default=all_servers, metavar="NAMES", help=which)
    concurrent = f"measure with these numbers of concurrent clients (default: {','.join(counts)})"
    parser.add_argument("--clients", type=names, default=counts, metavar="NUMBERS", help=concurrent)
    parser.add_argument(
        "--rounds", type=int, default=Plan.rounds, help="measure each so many times (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=int, default=Plan.seconds, help="length of each run (default: %(default)s)")
    warm = "seconds of load before the first run of servers that compile at run time (default: %(default)s)"
    parser.add_argument("--warm", type=int, default=Plan.warm_s, help=warm)
    settle = "seconds of load before the first run of the other servers (default: %(default)s)"
    parser.add_argument("--settle", type=int, default=Plan.settle_s, help=settle)
    minutes = "limit the time per model, first by shorter runs, then by fewer rounds; 0 sets no limit (default: 0)"
    parser.add_argument("--minutes", type=float, default=0, help=minutes)
    parser.add_argument("--more", action="store_true", help="add to the last results, if they are of this machine")
    parser.add_argument("--table", action="store_true", help="measure nothing; write the page from the last results")
    options = parser.parse_args(arguments)
    for chosen, known in ((options.models, MODELS), (options.servers, all_servers)):
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"unknown name {', '.join(unknown)}; choose from {', '.join(known)}")
    if not all(count.isdigit() and int(count) > 0 for count in options.clients):
        parser.error("--clients takes numbers above 0, such as 1,64,256")
    return options


def begin(*, more: bool) -> Results:
    """Start with empty results, or with the last ones if `more` is set."""
    fresh = Results(machine())
    if not more or not RESULTS.is_file():
        return fresh
    kept = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    if kept.machine != fresh.machine:
        sys.exit(f"{RESULTS} has results of another machine\n  fix:   leave out --more")
    return kept


def save(results: Results) -> None:
    """Save the results so far; an interrupted run loses at most one round."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_bytes(msgspec.json.encode(results))


def run(options: argparse.Namespace) -> Results:
    """Measure every selected model."""
    benches = [prepare(model) for model in options.models]
    results = begin(more=options.more)
    clients = tuple(int(count) for count in options.clients)
    plan = Plan(options.rounds, options.seconds, clients, options.warm, options.settle, 60 * options.minutes)
    limits = [name for name in LIMITS if name in options.servers]
    for bench in benches:
        chosen = [server for server in servers(bench.model) if server.name in options.servers]
        install(chosen, results)
        rounds = Rounds(bench, plan, results)
        with contextlib.ExitStack() as cleanup:
            for server in chosen:
                rounds.start(cleanup, server)
            rounds.play(limits, lambda: save(results))
    return results


def main() -> None:
    """Measure, or read the last results, and write the page."""
    options = parse()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupt)  # an interrupt lets the exit stack stop paused servers too
    try:
        results = begin(more=True) if options.table else run(options)
    except KeyboardInterrupt:
        sys.exit(f"stopped; {RESULTS} has the rounds so far\n  fix:   --table writes them to the page")
    write_page(options.page, results)
    if missing := unmeasured(results, MODELS):
        print(f"{options.readme} stays as it is: no figures of {', '.join(missing)}")
    else:
        into_readme(options.readme, results, MODELS)
    print(options.page)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
