"""`python -m benchmarks [--models segment,...] [--servers default,mosec,...]`: measure; write page and README table."""

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

from .measure import CONCURRENCIES
from .plan import Plan
from .prepare import BENCH, ROOT, prepare
from .readme import into_readme, unmeasured
from .rivals import LIMITS, TITLES, servers
from .rounds import Results, Rounds, install
from .table import write_page

MODELS = ("segment", "sentiment", "digits")
RESULTS = BENCH / "results.json"


def machine() -> dict[str, Any]:
    """Describe the machine that the results come from."""
    return {
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def names(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with a message if a name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare onnxserve with other servers.")
    parser.add_argument("--models", type=names, default=list(MODELS), help=f"of {','.join(MODELS)}")
    parser.add_argument("--servers", type=names, default=list(TITLES), help=f"of {','.join(TITLES)}")
    parser.add_argument("--clients", type=names, default=[str(count) for count in CONCURRENCIES])
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=int, default=Plan.seconds, help="seconds of one run, at most")
    parser.add_argument("--warm", type=int, default=Plan.warm_s, help="seconds of load before, for servers in Java")
    parser.add_argument("--settle", type=int, default=Plan.settle_s, help="the same for the other servers")
    parser.add_argument("--minutes", type=float, default=0, help="for one model: shorter runs, then fewer rounds")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "benchmarks.md")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="whose marked table is replaced too")
    parser.add_argument("--more", action="store_true", help="add to the last results, if they are this machine's")
    parser.add_argument("--table", action="store_true", help="only write the page, from the last results")
    given = parser.parse_args(arguments)
    for chosen, known in ((given.models, list(MODELS)), (given.servers, list(TITLES))):
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"nothing is called {', '.join(unknown)}; choose from {', '.join(known)}")
    if not all(count.isdigit() and int(count) > 0 for count in given.clients):
        parser.error("--clients takes numbers above 0, such as 1,64,256")
    return given


def begin(*, more: bool) -> Results:
    """Start with empty results, or with the last ones if `more` is set."""
    fresh = Results(machine())
    if not more or not RESULTS.is_file():
        return fresh
    kept = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    if kept.machine != fresh.machine:
        sys.exit(f"{RESULTS} is of another machine\n  fix:   leave out --more")
    return kept


def save(results: Results) -> None:
    """Save the results so far; an interrupted run loses at most one round."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_bytes(msgspec.json.encode(results))


def run(given: argparse.Namespace) -> Results:
    """Measure every selected model."""
    benches = [prepare(model) for model in given.models]
    results = begin(more=given.more)
    clients = tuple(int(count) for count in given.clients)
    plan = Plan(given.rounds, given.seconds, clients, given.warm, given.settle, 60 * given.minutes)
    limits = [name for name in LIMITS if name in given.servers]
    for bench in benches:
        chosen = [server for server in servers(bench.model) if server.name in given.servers]
        install(chosen, results)
        rounds = Rounds(bench, plan, results)
        with contextlib.ExitStack() as held:
            for server in chosen:
                rounds.start(held, server)
            rounds.play(limits, lambda: save(results))
    return results


def main() -> None:
    """Measure, or read the last results, and write the page."""
    given = parse()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupt)  # an interrupt lets the exit stack stop paused servers too
    try:
        results = begin(more=True) if given.table else run(given)
    except KeyboardInterrupt:
        sys.exit(f"stopped; {RESULTS} has the rounds so far\n  fix:   --table writes them to the page")
    write_page(given.page, results)
    if missing := unmeasured(results, list(MODELS)):
        print(f"{given.readme} stays as it is: no figures of {', '.join(missing)}")
    else:
        into_readme(given.readme, results, list(MODELS))
    print(given.page)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
