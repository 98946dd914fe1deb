"""`python -m benchmarks.faults`: requests sent, answered, degraded, refused and lost while things break for real."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from export.__main__ import STEPS
from export.export import export_model
from onnxserve.archive import reconfigure
from onnxserve.cli.serve import wait_until_ready
from onnxserve.config import Server, Settings, free_ports, start_server, with_free_ports
from onnxserve.edge import Canary, Edge, Intent, Share, Traffic
from onnxserve.edge.intent import Cache, Listen
from onnxserve.edge.processes import start
from onnxserve.management import Management
from onnxserve.release import History, Release
from onnxserve.scaffold import new_model
from onnxserve.tune.tune import cpu_name

from .prepare import ROOT

CLIENTS = 8
READY_S = 120
INTRO = """# When things break

Written by `python -m benchmarks.faults` on {cpu}: {clients} clients ask through the edge without a
pause while a fault is made for real. A small table model, version 1.0.0 with two workers, 2.0.0 with one; answers are
cached for a second. Degraded answers are right and say so: another version, or an old one. Refused ones have a type and
`Retry-After`. Lost would be anything else: a broken connection, an answer without a type.
"""


@dataclass
class Stage:
    """A server, its edge and its release steps."""

    settings: Settings
    server: Server
    release: Release
    url: str

    def kill(self, version: str, count: int) -> None:
        """`kill -9` for some workers of a version."""
        [found] = [one for one in self.release.management.versions("circle") if one.model_version == version]
        for worker in found.workers[:count]:
            with contextlib.suppress(ProcessLookupError):  # the last one may not have been replaced yet
                os.kill(worker.pid, signal.SIGKILL)

    def restart(self) -> None:
        """TorchServe killed with its workers, and started again."""
        os.killpg(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()
        time.sleep(1)
        self.server = start_server(self.settings)
        wait_until_ready(self.server, self.settings, READY_S)
        self.release.restore()


@dataclass
class Clients:
    """Closed-loop clients; each row is new to the cache half of the time."""

    url: str
    seen: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        """One client."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as http:
            turn = 0
            while not self.stop.is_set():
                turn += 1
                row = [number, turn] if turn % 2 else [0, 0]
                try:
                    self.seen[kind(http.post("/predictions/circle", json=row))] += 1
                except httpx.HTTPError:
                    self.seen["lost"] += 1


def kind(answer: httpx.Response) -> str:
    """What an answer was."""
    if answer.status_code == 200:
        return (
            f"degraded: {answer.headers['x-onnxserve-degraded']}"
            if "x-onnxserve-degraded" in answer.headers
            else "answered"
        )
    try:
        refused = answer.json()["error"]["type"]
    except (ValueError, KeyError):
        return "lost"
    return f"refused: {answer.status_code} {refused}"


def released(stage: Stage) -> None:
    """A canary, promoted, and taken back."""
    stage.release.canary("circle", Canary("2.0.0", 50))
    stage.release.promote("circle")
    stage.release.rollback("circle")


def kill_again(stage: Stage) -> None:
    """The only worker of 2.0.0 is killed again and again."""
    for _ in range(3):
        stage.kill("2.0.0", 1)
        time.sleep(1)


def broken_canary(stage: Stage) -> None:
    """While it is a canary."""
    stage.release.canary("circle", Canary("2.0.0", 50))
    kill_again(stage)
    stage.release.rollback("circle")


def broken_shadow(stage: Stage) -> None:
    """While it is a shadow."""
    stage.release.shadow("circle", Share("2.0.0", 100))
    kill_again(stage)
    stage.release.shadow("circle", None)


FAULTS: list[tuple[str, Callable[[Stage], None]]] = [
    ("none", lambda _: time.sleep(3)),
    ("one of two workers killed", lambda stage: stage.kill("1.0.0", 1)),
    ("both workers killed", lambda stage: stage.kill("1.0.0", 2)),
    ("canary, promote, rollback", released),
    ("a canary's worker killed three times", broken_canary),
    ("a shadow's worker killed three times", broken_shadow),
    ("TorchServe killed and started again", Stage.restart),
]


def archives(folder: Path) -> list[Path]:
    """Two versions of a small model, the first with two workers."""
    definition = new_model("tabular", "circle", folder / "one")
    second = folder / "two" / "circle"
    shutil.copytree(definition, second)
    toml = second / "model.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8").replace('version = "1.0.0"', 'version = "2.0.0"'), encoding="utf-8"
    )
    made = [export_model(one, folder / "made", STEPS, lambda _: None).archive for one in (definition, second)]
    reconfigure(made[0], made[0], {"minWorkers": 2, "maxWorkers": 2})
    return made


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """All of it, started."""
    store = folder / "store"
    store.mkdir()
    for archive in archives(folder):
        shutil.copy(archive, store)
    settings = with_free_ports(Settings(ROOT / "config.properties", store, folder / "state"))
    traffic, server = Traffic(settings.state), start_server(settings)
    release = Release(Management(settings.management), History(settings.state), store, traffic)
    wait_until_ready(server, settings, READY_S)
    release.restore()
    release.promote("circle", "1.0.0")
    port, metrics = free_ports(2)
    intent = Intent(listen=Listen(port=port, metrics_port=metrics), cache=Cache(seconds=1))
    run = (settings.state / "edge").resolve()
    edge = Edge(intent, run, settings.inference_port, settings.management_port)
    door = start(edge, traffic.labels)
    traffic.started(edge)
    made = Stage(settings, server, release, edge.url)
    try:
        yield made
    finally:
        door.stop()
        made.server.stop()


def row(stage: Stage, name: str, fault: Callable[[Stage], None]) -> str:
    """One fault under load."""
    clients = Clients(stage.url)
    threads = [threading.Thread(target=clients.run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    fault(stage)
    for version in ("1.0.0", "2.0.0"):
        stage.release.management.wait_ready("circle", version, READY_S)
    time.sleep(2)
    clients.stop.set()
    for thread in threads:
        thread.join()
    seen = clients.seen
    others = "; ".join(f"{count:,} {what}" for what, count in sorted(seen.items()) if what not in {"answered", "lost"})
    return f"| {name} | {sum(seen.values()):,} | {seen['answered']:,} | {others or '-'} | {seen['lost']} |"


def main() -> None:
    """Break things and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="Faults, counted.")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "95-faults.md")
    given = parser.parse_args()
    lines = ["| fault | sent | answered | degraded or refused | lost |", "|---|--:|--:|---|--:|"]
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as made:
        for name, fault in FAULTS:
            lines.append(row(made, name, fault))
            print(lines[-1], flush=True)
    intro = INTRO.format(cpu=cpu_name(), clients=CLIENTS)
    given.page.write_text("\n".join([intro, *lines]) + "\n", encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
