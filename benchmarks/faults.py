"""`python -m benchmarks.faults`: requests sent, answered, degraded, refused and lost while things break for real."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from onnxserve.edge import Canary, Share
from onnxserve.tune.tune import cpu_name

from .clock import Clock, faked
from .prepare import ROOT
from .stage import READY_S, Clients, Stage, small_disk, stage

Fault = Callable[[Stage], None]
CLIENTS = 8
DISK = "the disk of the prediction log is full"
INTRO = """# When things break

Written by `python -m benchmarks.faults` (`make chaos`) on {cpu}: {clients} clients ask through the edge
without a pause while a fault is made for real. A small table model, version 1.0.0 with two workers, 2.0.0 with one;
answers are cached for a second; the prediction log, of everything, has a file system of 1 MiB. Degraded answers are
right and say so: another version, or an old one. Refused ones have a type and `Retry-After`. Lost would be anything
else: a broken connection, an answer without a type. The last rows run on servers of their own: two behind a proxy that
can be slow or break, three under libfaketime, which sets the clock of TorchServe, its workers and nginx (Envoy doesn't
start under it) and makes waiting slow.
"""


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


def paused(stage: Stage) -> None:
    """A worker hangs for five seconds."""
    pid = stage.workers("1.0.0")[0]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(pid, signal.SIGCONT)


def nginx_killed(_: Stage) -> None:
    """The process of nginx that answers; its parent starts another."""
    for one in psutil.Process().children(recursive=True):
        if one.name() == "nginx" and "worker process" in " ".join(one.cmdline()):
            one.kill()
    time.sleep(1)


def disk_full(stage: Stage) -> None:
    """The file system of the prediction log has no room for five seconds of it."""
    ballast = stage.settings.state / "predictions" / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as stream:
        while True:
            stream.write(b"x" * 4096)
            stream.flush()
    time.sleep(12)  # the log is written every ten
    ballast.unlink(missing_ok=True)


def slow_clients(stage: Stage) -> None:
    """Fifty connections that send a byte of their request now and then."""
    host, port = urlsplit(stage.url).hostname, urlsplit(stage.url).port
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_connection((host, port))) for _ in range(50)]
        for byte in b"POST /predictions/circle HTTP/1.1\r\n"[:20]:
            for one in sockets:
                one.send(bytes([byte]))
            time.sleep(0.25)


def slow_way(stage: Stage) -> None:
    """200 ms each way between nginx and TorchServe, for five seconds."""
    assert stage.wire is not None  # noqa: S101 - such a stage has one
    stage.wire.delay_s = 0.2
    time.sleep(5)
    stage.wire.delay_s = 0


def broken_way(stage: Stage) -> None:
    """Everything that is open between nginx and TorchServe is reset, ten times."""
    assert stage.wire is not None  # noqa: S101 - such a stage has one
    for _ in range(10):
        stage.wire.cut()
        time.sleep(0.5)


def jumped(clock: Clock, seconds: int) -> Fault:
    """The clock of TorchServe, its workers and nginx jumps, and back again."""

    def jump(_: Stage) -> None:
        clock.ahead(seconds)
        time.sleep(3)
        clock.ahead(0)
        time.sleep(3)

    return jump


WIRED: list[tuple[str, Fault]] = [
    ("200 ms more each way between edge and TorchServe", slow_way),
    ("connections between edge and TorchServe reset ten times", broken_way),
]
JUMPS = {"the clock jumps an hour ahead, and back": 3600, "the clock jumps two days back, and ahead": -172_800}
FAULTS: list[tuple[str, Fault]] = [
    ("none", lambda _: time.sleep(3)),
    ("one of two workers killed", lambda stage: stage.kill("1.0.0", 1)),
    ("both workers killed", lambda stage: stage.kill("1.0.0", 2)),
    ("a worker hangs for five seconds", paused),
    ("nginx's worker killed", nginx_killed),
    ("fifty clients send a byte now and then", slow_clients),
    (DISK, disk_full),
    ("canary, promote, rollback", released),
    ("a canary's worker killed three times", broken_canary),
    ("a shadow's worker killed three times", broken_shadow),
    ("TorchServe killed and started again", Stage.restart),
]


def row(stage: Stage, name: str, fault: Fault) -> str:
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


def plain() -> Iterator[str]:
    """Faults of processes and disks."""
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)) as small, stage(Path(folder)) as made:
        for name, fault in FAULTS:
            if name == DISK and not small:
                print("a small file system can't be mounted here: run as root")
                continue
            yield row(made, name, fault)


def wired() -> Iterator[str]:
    """Faults of the way between edge and TorchServe."""
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), wired=True) as made:
        for name, fault in WIRED:
            yield row(made, name, fault)


def shifted() -> Iterator[str]:
    """Faults of the clock."""
    with tempfile.TemporaryDirectory() as folder, faked(Path(folder)) as clock:
        if clock is None:
            print("the clock can't be set without libfaketime (Debian: faketime)")
            return
        with stage(Path(folder)) as made:
            for name, seconds in {"nothing, under libfaketime": 0, **JUMPS}.items():
                yield row(made, name, jumped(clock, seconds))


def main() -> None:
    """Break things and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="Faults, counted.")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "95-faults.md")
    given = parser.parse_args()
    lines = ["| fault | sent | answered | degraded or refused | lost |", "|---|--:|--:|---|--:|"]
    for told in (plain(), wired(), shifted()):
        for line in told:
            print(line, flush=True)
            lines.append(line)
    intro = INTRO.format(cpu=cpu_name(), clients=CLIENTS)
    given.page.write_text("\n".join([intro, *lines]) + "\n", encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
