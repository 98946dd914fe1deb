"""`python -m benchmarks.faults`: cause real faults under load; count answered, degraded, refused and lost requests."""

from __future__ import annotations

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

from .arguments import make_parser
from .fault_proxy import fault_proxy
from .system_under_test import READY_S, Clients, SystemUnderTest, small_disk, system_under_test

Fault = Callable[[SystemUnderTest], None]
CLIENTS = 8
DISK = "the disk of the state folder is full: logs, prediction log"
INTRO = """# When things break

Written by `python -m benchmarks.faults` (`make chaos`) on {cpu}. {clients} clients send requests to `onnxserve serve`
without a pause while a real fault is caused. The model is a small table model: version 1.0.0 has two workers, 2.0.0 has
one. The prediction log keeps everything, and the state folder has a file system of 96 MiB. Every row is new and the
cache is off, so every answer is computed.

- Degraded answers are right: another version gave them, and a header marks them.
- Refused requests have a type and `Retry-After`.
- "No connection" counts tries while nobody listened; nothing was sent then.
- Lost is everything else: a connection that broke under a request, or an answer without a type.
"""


def released(system: SystemUnderTest) -> None:
    """Start a canary, promote it, and roll it back."""
    system.release.canary("circle", Canary("2.0.0", 50))
    system.release.promote("circle")
    system.release.rollback("circle")


def kill_again(system: SystemUnderTest) -> None:
    """Kill the only worker of 2.0.0 three times."""
    for _ in range(3):
        system.kill("2.0.0", 1)
        time.sleep(1)


def broken_canary(system: SystemUnderTest) -> None:
    """Kill the workers of a canary."""
    system.release.canary("circle", Canary("2.0.0", 50))
    kill_again(system)
    system.release.rollback("circle")


def broken_shadow(system: SystemUnderTest) -> None:
    """Kill the workers of a shadow."""
    system.release.shadow("circle", Share("2.0.0", 100))
    kill_again(system)
    system.release.shadow("circle", None)


def paused(system: SystemUnderTest) -> None:
    """Suspend a worker for five seconds."""
    pid = system.workers("1.0.0")[0]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(pid, signal.SIGCONT)


def ended(words: str, *, last: bool = False) -> Fault:
    """Build a fault that kills the first, or the last, process whose command line contains `words`."""

    def end(system: SystemUnderTest) -> None:
        processes = system.children(words)
        (processes[-1] if last else processes[0]).kill()
        time.sleep(3)
        system.wait_ready()

    return end


def frontend_paused(system: SystemUnderTest) -> None:
    """Suspend TorchServe's frontend until the supervisor replaces it."""
    [frontend] = system.children("org.pytorch.serve.ModelServer")
    frontend.suspend()
    deadline = time.monotonic() + READY_S
    while frontend.is_running() and time.monotonic() < deadline:
        time.sleep(0.5)
    system.wait_ready()


def disk_full(system: SystemUnderTest) -> None:
    """Fill the file system of the state folder for some seconds."""
    ballast = system.settings.state / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as stream:
        while True:
            stream.write(b"x" * 4096)
            stream.flush()
    time.sleep(12)  # long enough for a write of the prediction log, which happens every ten seconds
    ballast.unlink(missing_ok=True)


def slow_clients(system: SystemUnderTest) -> None:
    """Open fifty connections that send one byte of their request every 250 ms."""
    host, port = urlsplit(system.url).hostname, urlsplit(system.url).port
    with contextlib.ExitStack() as cleanup:
        sockets = [cleanup.enter_context(socket.create_connection((host, port))) for _ in range(50)]
        for byte in b"POST /predictions/circle HTTP/1.1\r\n"[:20]:
            for connection in sockets:
                connection.send(bytes([byte]))
            time.sleep(0.25)


def slow_way(system: SystemUnderTest) -> None:
    """Delay each direction between nginx and TorchServe by 200 ms, for five seconds."""
    with fault_proxy(system.settings.run / "inference.sock") as proxy:
        reload_gateway(system)
        proxy.delay_s = 0.2
        time.sleep(5)
        proxy.delay_s = 0
    reload_gateway(system)


def broken_way(system: SystemUnderTest) -> None:
    """Reset all connections between nginx and TorchServe ten times."""
    with fault_proxy(system.settings.run / "inference.sock") as proxy:
        reload_gateway(system)
        for _ in range(10):
            proxy.cut()
            time.sleep(0.5)
    reload_gateway(system)


def reload_gateway(system: SystemUnderTest) -> None:
    """Reload nginx; its new worker connects to the socket that now has the path."""
    system.children("nginx: master")[0].send_signal(signal.SIGHUP)
    time.sleep(1)


FAULTS: list[tuple[str, Fault]] = [
    ("none", lambda _: time.sleep(3)),
    ("one of two workers killed", lambda system: system.kill("1.0.0", 1)),
    ("both workers killed", lambda system: system.kill("1.0.0", 2)),
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


def row(system: SystemUnderTest, name: str, fault: Fault) -> str:
    """Inject a fault under load and format its row."""
    clients = Clients(system.url)
    threads = [threading.Thread(target=clients.run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    fault(system)
    for version in ("1.0.0", "2.0.0"):
        system.release.management.wait_ready("circle", version, READY_S)
    time.sleep(2)
    clients.stop.set()
    for thread in threads:
        thread.join()
    seen = clients.seen
    others = "; ".join(f"{count:,} {what}" for what, count in sorted(seen.items()) if what not in {"answered", "lost"})
    return f"| {name} | {sum(seen.values()):,} | {seen['answered']:,} | {others or '-'} | {seen['lost']} |"


def rows(name_part: str) -> Iterator[str]:
    """Yield a row for each fault whose name contains `name_part`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        small_disk(Path(folder)) as small,
        system_under_test(Path(folder)) as system,
    ):
        for name, fault in FAULTS:
            if name == DISK and not small:
                print("a small file system can't be mounted here: run as root")
            elif name_part in name:
                yield row(system, name, fault)


def main() -> None:
    """Inject the faults and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    purpose = "Cause real faults under load; count answered, degraded, refused and lost requests."
    parser = make_parser("faults", purpose, "faults.md")
    only = "cause only faults whose name contains WORDS, and write no page (default: all)"
    parser.add_argument("--only", default="", metavar="WORDS", help=only)
    options = parser.parse_args()
    lines = ["| fault | sent | answered | degraded or refused | lost |", "|---|--:|--:|---|--:|"]
    for line in rows(options.only):
        print(line, flush=True)
        lines.append(line)
    if options.only:
        return
    intro = INTRO.format(cpu=cpu_name(), clients=CLIENTS)
    options.page.write_text("\n".join([intro, *lines]) + "\n", encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
