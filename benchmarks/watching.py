"""`python -m benchmarks.watching`: what histograms, drift and the prediction log cost, in interleaved rounds."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import statistics
import tempfile
from pathlib import Path

from onnxserve.cli.serve import WARM_S, wait_until_ready
from onnxserve.config import Settings, start_server, with_free_ports
from onnxserve.tune.tune import cpu_name
from onnxserve.warmup import warm_up

from .prepare import ROOT, Bench, bodies, prepare
from .rivals import LABEL
from .wrk import Run, drive

CLIENTS = 64
INTRO = """# What watching costs

Written by `python -m benchmarks.watching` on {cpu}: one TorchServe a way, all up, wrk with 64 clients on each in
turn, {rounds} rounds of {seconds} s. A round's ratio is to the same round's server that watches nothing; the figure is the
median of the ratios, and beside it the lowest and the highest.
"""


def ways(folder: Path) -> dict[str, dict[str, str]]:
    """Variables of the workers."""
    metrics, predictions = folder / "metrics", folder / "predictions"
    both, logged = folder / "both", {"folder": str(predictions), "percent": 1.0}
    for one in (metrics, both):
        one.mkdir()
    return {
        "nothing": {},
        "histograms and drift": {"ONNXSERVE_METRICS": str(metrics)},
        "and 1 % of the predictions": {
            "ONNXSERVE_METRICS": str(both),
            "ONNXSERVE_PREDICTIONS": json.dumps(logged),
        },
    }


def measure(bench: Bench, folder: Path, rounds: int, seconds: int) -> dict[str, list[Run]]:
    """Runs by way, in turn."""
    path, urls, found = folder / "bodies.jsonl", dict[str, str](), dict[str, list[Run]]()
    path.write_bytes(b"\n".join(bodies(bench)))
    with contextlib.ExitStack() as running:
        for number, (name, variables) in enumerate(ways(folder).items()):
            store = folder / f"store{number}"
            store.mkdir()
            (store / bench.archive.name).write_bytes(bench.archive.read_bytes())
            settings = with_free_ports(Settings(ROOT / "config.properties", store, folder / f"state{number}"))
            server = start_server(settings, variables)
            running.callback(server.stop)
            wait_until_ready(server, settings, 120)
            warm_up(settings, WARM_S)
            urls[name] = f"{settings.inference}/predictions/{bench.model}"
            drive(urls[name], path, LABEL, CLIENTS, 5, {})
        for _ in range(rounds):
            for name, url in urls.items():
                found.setdefault(name, []).append(drive(url, path, LABEL, CLIENTS, seconds, {}))
    return found


def table(model: str, found: dict[str, list[Run]]) -> list[str]:
    """Rates, and their ratios round by round."""
    lines = [
        f"## {model}",
        "",
        "| watched | requests/s | of nothing watched | lowest to highest |",
        "|---|--:|--:|---|",
    ]
    for name, runs in found.items():
        ratios = [mine.rate / base.rate for mine, base in zip(runs, found["nothing"], strict=True)]
        rate = statistics.median(one.rate for one in runs)
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        lines.append(f"| {name} | {rate:,.0f} | {statistics.median(ratios):.3f} | {spread} |")
    return [*lines, ""]


def main() -> None:
    """Measure and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description="What watching costs.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--models", nargs="+", default=["segment", "sentiment"])
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "97-watching.md")
    given = parser.parse_args()
    lines = [INTRO.format(cpu=cpu_name(), rounds=given.rounds, seconds=given.seconds)]
    for model in given.models:
        with tempfile.TemporaryDirectory() as folder:
            lines += table(model, measure(prepare(model), Path(folder), given.rounds, given.seconds))
    given.page.write_text("\n".join(lines), encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
