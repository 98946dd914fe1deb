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

from onnxserve.gateway import Canary, Share
from onnxserve.tuning.tuner import cpu_name

from .prepare import ROOT
from .stage import READY_S, Clients, Stage, small_disk, stage
from .wire import wire

Fault = Callable[[Stage], None]
CLIENTS = 8
DISK = "the disk of the state folder is full: logs, prediction log"
INTRO = """# When things break

Written by `python -m benchmarks.faults` (`make chaos`) on {cpu}: {clients} clients ask `onnxserve serve` without a
pause while a fault is made for real. A small table model, version 1.0.0 with two workers, 2.0.0 with one; the
prediction log keeps everything; the state folder has a file system of 96 MiB. Every row is new and no answer is kept,
so none comes from before. Degraded answers are right and say so: another version gave them. Refused ones have a type
and `Retry-After`. "No connection" counts tries while nobody listened; nothing was sent then. Lost would be anything
else: a connection that broke under a request, an answer without a type.
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


def ended(words: str, *, last: bool = False) -> Fault:
    """`kill -9` for the first, or the last, process with these words in its command line, then time to come back."""

    def end(stage: Stage) -> None:
        found = stage.children(words)
        (found[-1] if last else found[0]).kill()
        time.sleep(3)
        stage.wait_ready()

    return end


def frontend_paused(stage: Stage) -> None:
    """TorchServe's frontend hangs until it is replaced."""
    [frontend] = stage.children("org.pytorch.serve.ModelServer")
    frontend.suspend()
    deadline = time.monotonic() + READY_S
    while frontend.is_running() and time.monotonic() < deadline:
        time.sleep(0.5)
    stage.wait_ready()


def disk_full(stage: Stage) -> None:
    """No byte more fits beside the logs for some seconds."""
    ballast = stage.settings.state / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as stream:
        while True:
            stream.write(b"x" * 4096)
            stream.flush()
    time.sleep(12)  # the prediction log is written every ten
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
    with wire(stage.settings.run / "inference.sock") as way:
        reload_gateway(stage)
        way.delay_s = 0.2
        time.sleep(5)
        way.delay_s = 0
    reload_gateway(stage)


def broken_way(stage: Stage) -> None:
    """Everything that is open between nginx and TorchServe is reset, ten times."""
    with wire(stage.settings.run / "inference.sock") as way:
        reload_gateway(stage)
        for _ in range(10):
            way.cut()
            time.sleep(0.5)
    reload_gateway(stage)


def reload_gateway(stage: Stage) -> None:
    """Another worker of nginx, whose connections go to whoever has the socket's name now."""
    stage.children("nginx: master")[0].send_signal(signal.SIGHUP)
    time.sleep(1)


FAULTS: list[tuple[str, Fault]] = [
    ("none", lambda _: time.sleep(3)),
    ("one of two workers killed", lambda stage: stage.kill("1.0.0", 1)),
    ("both workers killed", lambda stage: stage.kill("1.0.0", 2)),
    ("a worker hangs for five seconds", paused),
    ("nginx's worker killed", ended("nginx: worker")),
    ("nginx's master killed", ended("nginx: master")),
    ("TorchServe killed", ended("org.pytorch.serve.ModelServer")),
    ("TorchServe hangs", frontend_paused),
    ("nginx reads its files again", reload_gateway),
    ("200 ms more each way between nginx and TorchServe", slow_way),
    ("connections between nginx and TorchServe reset ten times", broken_way),
    ("fifty clients send a byte now and then", slow_clients),
    (DISK, disk_full),
    ("canary, promote, rollback", released),
    ("a canary's worker killed three times", broken_canary),
    ("a shadow's worker killed three times", broken_shadow),
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


def rows(wanted: str) -> Iterator[str]:
    """Each fault whose name has the words that are wanted."""
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)) as small, stage(Path(folder)) as made:
        for name, fault in FAULTS:
            if name == DISK and not small:
                print("a small file system can't be mounted here: run as root")
            elif wanted in name:
                yield row(made, name, fault)


def main() -> None:
    """Break things and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="Faults, counted.")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "95-faults.md")
    parser.add_argument("--only", default="", help="Faults whose name has these words; no page is written then.")
    given = parser.parse_args()
    lines = ["| fault | sent | answered | degraded or refused | lost |", "|---|--:|--:|---|--:|"]
    for line in rows(given.only):
        print(line, flush=True)
        lines.append(line)
    if given.only:
        return
    intro = INTRO.format(cpu=cpu_name(), clients=CLIENTS)
    given.page.write_text("\n".join([intro, *lines]) + "\n", encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
