"""`python -m benchmarks.edge`: what the edge adds to TorchServe, in interleaved rounds on one machine."""

from __future__ import annotations

import argparse
import contextlib
import logging
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from onnxserve.cli.serve import WARM_S, wait_until_ready
from onnxserve.config import Settings, free_ports, start_server, with_free_ports
from onnxserve.edge import Edge, Intent, Labels, Model
from onnxserve.edge.intent import Auth, Cache, Listen
from onnxserve.edge.keys import Key, add
from onnxserve.edge.processes import start
from onnxserve.tune.tune import cpu_name
from onnxserve.warmup import warm_up

from .bare_envoy import bare_envoy
from .measure import CONCURRENCIES
from .prepare import ROOT, Bench, bodies, prepare
from .rivals import LABEL
from .wrk import Run, drive

FIELDS = ("rate", "p50_ms", "p99_ms")
INTRO = """# What the edge adds

Written by `python -m benchmarks.edge` on {cpu}: `segment` through TorchServe alone and through
the edge, wrk on the same cores, {rounds} rounds of {seconds} s in turn, medians. With keys, every request is authorised
by nginx first; with the cache, the 256 bodies are all in it. Bare Envoy is the same binary with one route, no log and
no limits: what is left when everything that the edge does is taken away.
"""


@contextmanager
def server(bench: Bench, folder: Path) -> Iterator[Settings]:
    """TorchServe with one archive, warm."""
    store = folder / "store"
    store.mkdir()
    (store / bench.archive.name).write_bytes(bench.archive.read_bytes())
    settings = with_free_ports(Settings(ROOT / "config.properties", store, folder / "state"))
    running = start_server(settings)
    try:
        wait_until_ready(running, settings, 120)
        warm_up(settings, WARM_S)
        yield settings
    finally:
        running.stop()


def intents(folder: Path) -> tuple[dict[str, Intent], str]:
    """Edges to compare, and a key for those that ask for one."""
    keys = folder / "keys.json"
    secret = add(keys, Key("bench"))
    return {
        "edge": Intent(),
        "edge, keys": Intent(auth=Auth(required=True, keys=str(keys))),
        "edge, cache": Intent(cache=Cache(seconds=3600)),
    }, secret


def measure(bench: Bench, folder: Path, rounds: int, seconds: int) -> dict[tuple[str, int], list[Run]]:
    """Runs by (way, clients)."""
    path, found = folder / "bodies.jsonl", dict[tuple[str, int], list[Run]]()
    path.write_bytes(b"\n".join(bodies(bench)))
    labels = Labels({bench.model: Model({"1.0.0": "a" * 64}, "1.0.0")})
    chosen, secret = intents(folder)
    with contextlib.ExitStack() as running:
        settings = running.enter_context(server(bench, folder))
        urls, doors = {"TorchServe": str(settings.inference)}, []
        try:
            for number, (name, intent) in enumerate(chosen.items()):
                port, metrics = free_ports(2)
                listening = msgspec.structs.replace(intent, listen=Listen(port=port, metrics_port=metrics))
                edge = Edge(listening, folder / f"edge{number}", settings.inference_port, settings.management_port)
                doors.append(start(edge, labels))
                urls[name] = edge.url
            urls["bare Envoy"] = running.enter_context(bare_envoy(free_ports(1)[0], settings.inference_port, folder))
            for url in urls.values():
                drive(f"{url}/predictions/{bench.model}", path, LABEL, 64, 5, {"x-api-key": secret})
            for _ in range(rounds):
                for concurrency in CONCURRENCIES[:3]:
                    for name, url in urls.items():
                        target = f"{url}/predictions/{bench.model}"
                        run = drive(target, path, LABEL, concurrency, seconds, {"x-api-key": secret})
                        found.setdefault((name, concurrency), []).append(run)
        finally:
            for door in doors:
                door.stop()
    return found


def table(found: dict[tuple[str, int], list[Run]]) -> list[str]:
    """One line a way and number of clients."""
    lines = ["| clients | way | requests/s | p50 ms | p99 ms | failed |", "|--:|---|--:|--:|--:|--:|"]
    for (name, concurrency), runs in sorted(found.items(), key=lambda pair: pair[0][1]):
        rate, p50, p99 = (
            statistics.median(getattr(one, field) for one in runs) for field in ("rate", "p50_ms", "p99_ms")
        )
        failed = sum(one.failed for one in runs)
        lines.append(f"| {concurrency} | {name} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {failed} |")
    return lines


def main() -> None:
    """Measure and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description="What the edge adds.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "94-edge-cost.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(prepare("segment"), Path(folder), given.rounds, given.seconds)
    intro = INTRO.format(cpu=cpu_name(), rounds=given.rounds, seconds=given.seconds)
    given.page.write_text("\n".join([intro, *table(found)]) + "\n", encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
