"""`python -m benchmarks [--models segment,...] [--rivals a,c,e] [--rounds 3]`: measure, then write docs."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import random
import sys
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.tune.tune import cpu_name

from .limits import nginx, raw
from .measure import CONCURRENCIES, Measured, Plan, measure
from .prepare import BENCH, ROOT, Bench, prepare
from .process import wait_ready
from .rivals import Rival, rivals
from .table import write_page
from .wrk import drive

MODELS = ("segment", "sentiment", "digits")
RESULTS = BENCH / "results.json"


class Results(msgspec.Struct):
    """All runs of one benchmark, who was skipped and why, and the machine."""

    machine: dict[str, Any]
    runs: list[Measured] = []
    skipped: dict[str, str] = {}


def machine() -> dict[str, Any]:
    """Where this was measured."""
    return {
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def limits(bench: Bench, results: Results, plan: Plan) -> None:
    """Raw onnxruntime and an empty answer, in the same round as the servers."""
    import yaml

    largest = int(yaml.safe_load((bench.folder / "model-config.yaml").read_text(encoding="utf-8"))["batchSize"])
    for concurrency in CONCURRENCIES:
        rate = raw(bench, concurrency, largest)
        results.runs.append(Measured(bench.model, "raw", concurrency, rate, 0, 0, 0, 0, 0, 1))
    results.runs.extend(empty(bench, plan))


def empty(bench: Bench, plan: Plan) -> list[Measured]:
    """Nginx answering nothing."""
    from onnxserve.config import free_ports

    [port] = free_ports(1)
    running, path = nginx(port), BENCH / "run" / "raw.jsonl"
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_ready(running, url, b"{}")
        found = []
        for concurrency in CONCURRENCIES:
            run = drive(url, path, "()", concurrency, plan.seconds)
            row = (run.rate, run.p50_ms, run.p99_ms, 0, 0, running.megabytes(), 1)
            found.append(Measured(bench.model, "nginx", concurrency, *row))
        return found
    finally:
        running.stop()


def one(rival: Rival, bench: Bench, results: Results, plan: Plan) -> None:
    """Measure, or note why not."""
    key = f"{bench.model}/{rival.key}"
    if key in results.skipped:
        return
    try:
        results.runs.extend(measure(rival, bench, plan))
    except (RuntimeError, OSError) as error:
        results.skipped[key] = str(error)
    done = [run for run in results.runs if (run.model, run.rival) == (bench.model, rival.key)][-len(CONCURRENCIES) :]
    shown = results.skipped.get(key) or "  ".join(f"c={run.concurrency} {run.rate:.0f}/s" for run in done)
    print(f"{bench.model} {rival.title}: {shown}", flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with rivals.")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rivals", default="a,b,c,d,e,f,g,h,i", help="letters of the table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of one run")
    parser.add_argument("--warm", type=int, default=20, help="seconds of load before, for Java; others get 5")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "90-benchmarks.md")
    parser.add_argument("--more", action="store_true", help="add to the last results, if they are this machine's")
    parser.add_argument("--table", action="store_true", help="only write the page, from the last results")
    return parser.parse_args()


def begin(*, more: bool) -> Results:
    """No results yet, or those of before."""
    fresh = Results(machine())
    if not more or not RESULTS.is_file():
        return fresh
    kept = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    if kept.machine != fresh.machine:
        sys.exit(f"{RESULTS} is of another machine\n  fix:   leave out --more")
    return kept


def main() -> None:
    """All rounds, interleaved: in each, every rival of every model runs once, in another order."""
    given = parse()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    unknown = set(given.models.split(",")) - set(MODELS)
    if unknown:
        sys.exit(f"no models {sorted(unknown)}\n  fix:   choose from {', '.join(MODELS)}")
    if given.table:
        kept = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
        write_page(given.page, kept.machine, kept.runs, kept.skipped)
        return
    benches = [prepare(model) for model in given.models.split(",")]
    results, plan = begin(more=given.more), Plan(given.seconds, given.warm)
    for round_ in range(given.rounds):
        for bench in benches:
            limits(bench, results, plan)
            chosen = [rival for rival in rivals(bench.model) if rival.key in given.rivals.split(",")]
            random.Random(round_).shuffle(chosen)  # noqa: S311 - an order, not a secret
            for rival in chosen:
                one(rival, bench, results, plan)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_bytes(msgspec.json.encode(results))
    write_page(given.page, results.machine, results.runs, results.skipped)
    print(given.page)


if __name__ == "__main__":
    main()
