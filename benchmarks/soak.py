"""`python -m benchmarks.soak`: measure the memory of workers, frontend and gateway under a long mixed load."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from onnxserve.archive import golden_bodies
from onnxserve.torchserve import Settings, free_ports
from onnxserve.tuning.tuner import cpu_name

from . import ROOT
from .arguments import make_parser
from .system_under_test import served_as

CLIENTS, PERIOD_S, MIB = 6, 5.0, 2**20
SETTLED = 1 / 3  # share of the time that is left out: caches and arenas grow then
MOST_PERCENT = 10.0  # maximum growth per hour, of a part's memory
TRAFFIC = """[listen]
port = {port}
metrics_port = {metrics}
[cache]
seconds = 5.0
[predictions]
percent = 10.0
megabytes = 8.0
"""
INTRO = """# A long time under load

Written by `python -m benchmarks.soak` (`make soak`) on {cpu}. For {minutes:g} minutes, {clients} clients send requests
for `segment` and `sentiment` through the gateway without a pause. They send golden rows, one by one and all at once.
One request in ten is wrong: a bad row, a body that isn't JSON, or an unknown path. Counters, drift, the prediction log
and the cache are on.

Memory is the PSS of all processes of a part, measured every {period:g} s. The slope is Theil and Sen's, over the last
two thirds of the time; beside it stands the range of the middle 95 % of the slopes of pairs. A part fails if its slope
is over {most:g} % of its memory an hour and that whole range is above 0.

{requests:,} requests: {answers}.

| part | MiB after a third | MiB at the end | slope, MiB an hour | | verdict |
|---|--:|--:|--:|---|---|
"""


@dataclass
class Samples:
    """Memory of each part in MiB, by time in seconds."""

    sizes: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, now: float) -> None:
        """Sample all child processes of this process."""
        parts: dict[str, float] = defaultdict(float)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                parts[part_of(process)] += process.memory_full_info().pss / MIB
        for name, size in parts.items():
            self.sizes[name].append((now, size))


def part_of(process: psutil.Process) -> str:
    """Return the part of the server that a process belongs to."""
    words, name = " ".join(process.cmdline()), process.name()
    if "model_service_worker" in words:
        return f"workers of {model_of(process)}"
    return {"java": "frontend"}.get(name, "gateway" if "nginx" in name else "supervisor")


def model_of(process: psutil.Process) -> str:
    """Return the model whose archive a worker serves."""
    signature = Path(process.cwd()) / "signature.json"
    return str(msgspec.json.decode(signature.read_bytes())["model"]) if signature.is_file() else "?"


def slope(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the median slope in MiB/h and its middle 95 % over all pairs (Sen, J. Am. Stat. Assoc. 63, 1968)."""
    slopes = sorted((b - a) / (t - s) * 3600 for (s, a), (t, b) in itertools.combinations(points[-400:], 2))
    return statistics.median(slopes), slopes[int(0.025 * len(slopes))], slopes[int(0.975 * (len(slopes) - 1))]


def client(url: str, bodies: dict[str, list[bytes]], seen: Counter[str], stop: threading.Event) -> None:
    """Send valid and invalid requests until `stop` is set."""
    draws = random.Random(threading.get_ident())  # noqa: S311 - a mixture
    headers = {"Content-Type": "application/json"}
    with httpx.Client(base_url=url, trust_env=False, timeout=60, headers=headers) as http:
        while not stop.is_set():
            model = draws.choice(list(bodies))
            path, body = f"/predictions/{model}", draws.choice(bodies[model])
            if draws.random() < 0.1:
                path, body = draws.choice([(path, b"[[]]"), (path, b"no JSON"), ("/predictions/nobody", body)])
            try:
                seen[str(http.post(path, content=body).status_code)] += 1
            except httpx.HTTPError:
                seen["lost"] += 1


def mixed(archive: Path) -> list[bytes]:
    """Return requests of one golden row each, and one request with all of them."""
    alone = golden_bodies(archive)
    rows = [msgspec.json.decode(body)["instances"][0] for body in alone]
    return [*alone, msgspec.json.encode({"instances": rows})]


@contextlib.contextmanager
def serving(folder: Path, archives: list[Path]) -> Iterator[str]:
    """Run `onnxserve serve`; yield the gateway's URL."""
    store, (port, metrics) = folder / "store", free_ports(2)
    store.mkdir()
    for archive in archives:
        shutil.copy(archive, store)
    traffic = folder / "gateway.toml"
    traffic.write_text(TRAFFIC.format(port=port, metrics=metrics), encoding="utf-8")
    settings = Settings(ROOT / "config.properties", store, folder / "state", gateway_file=traffic)
    with served_as(settings, folder, port) as running:
        yield running.url


def soak(archives: list[Path], minutes: float) -> tuple[Samples, Counter[str]]:
    """Apply load and sample the memory meanwhile."""
    samples, seen, stop = Samples(), Counter[str](), threading.Event()
    bodies = {archive.stem.rpartition("-")[0]: mixed(archive) for archive in archives}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), archives) as url:
        threads = [threading.Thread(target=client, args=(url, bodies, seen, stop)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        start_s = time.monotonic()
        while (now := time.monotonic() - start_s) < minutes * 60:
            samples.take(now)
            time.sleep(PERIOD_S)
        stop.set()
        for thread in threads:
            thread.join()
    return samples, seen


def judged(name: str, points: list[tuple[float, float]], minutes: float) -> tuple[str, bool]:
    """Return a part's row, and whether its memory is flat."""
    settled = [point for point in points if point[0] >= minutes * 60 * SETTLED]
    middle, low, high = slope(settled)
    first, last = settled[0][1], settled[-1][1]
    grows = low > 0 and middle > MOST_PERCENT / 100 * last
    verdict = "grows" if grows else "flat"
    return f"| {name} | {first:.0f} | {last:.0f} | {middle:.1f} | {low:.1f} to {high:.1f} | {verdict} |\n", not grows


def main() -> None:
    """Run the soak test and write the page; exit with 1 if memory grows or a request was lost."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    purpose = "Measure the memory of all parts under a long mixed load; fail if it grows steadily or a request is lost."
    parser = make_parser("soak", purpose, "soak.md")
    parser.add_argument("--minutes", type=float, default=30.0, help="length of the load (default: %(default)g)")
    options: Any = parser.parse_args()
    archives = [ROOT / "model_store" / f"{name}-1.0.0.mar" for name in ("segment", "sentiment")]
    samples, seen = soak(archives, options.minutes)
    answers = ", ".join(f"{count:,} {status}" for status, count in sorted(seen.items()))
    about = {"cpu": cpu_name(), "minutes": options.minutes, "clients": CLIENTS, "period": PERIOD_S}
    text = INTRO.format(**about, most=MOST_PERCENT, requests=seen.total(), answers=answers)
    rows = [judged(name, points, options.minutes) for name, points in sorted(samples.sizes.items())]
    options.page.write_text(text + "".join(row for row, _ in rows), encoding="utf-8")
    print(options.page.read_text(encoding="utf-8"))
    if seen["lost"] or not all(flat for _, flat in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
