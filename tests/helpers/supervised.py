"""Small services under a real supervisor. Run by module, it supervises two of them until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from onnxserve.client import Address, unix
from onnxserve.errors import ServerError
from onnxserve.processes import end_group, spawn
from onnxserve.supervisor import Backoff, Events, Probe, Service, StopSignals, Supervisor

# Answers everything with 200 on a socket. `broken` keeps it from starting, `stubborn` from ending at SIGTERM.
PROGRAM = """
import http.server, os, pathlib, signal, socketserver, sys

path = pathlib.Path(sys.argv[1])
if path.with_suffix(".broken").exists():
    sys.exit(3)
if path.with_suffix(".stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
path.unlink(missing_ok=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

socketserver.UnixStreamServer(str(path), Handler).serve_forever()
"""
READY_S = 120  # Python starts slowly on a busy machine
QUICK = Backoff(first_s=0.05, most_s=0.4, calm_s=60.0)


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen[bytes]

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        end_group(self.process, signal.SIGTERM, 60)


@dataclass
class Small:
    """One service in a run folder."""

    run: Path
    name: str
    readied: int = 0
    started: list[float] = field(default_factory=list)

    @property
    def address(self) -> Address:
        return unix(self.run / f"{self.name}.sock")

    def service(self) -> Service:
        probe = Probe("health", self.ask, every_s=0.1, failures=3)
        return Service(self.name, self.start, self.ready, (probe,))

    def start(self) -> Started:
        self.started.append(time.monotonic())
        command = [sys.executable, "-c", PROGRAM, str(self.address.path)]
        log, record = self.run / f"{self.name}.log", self.run / f"{self.name}.process"
        return Started(spawn(command, folder=self.run, log=log, record=record))

    def ready(self, running) -> None:
        deadline = time.monotonic() + READY_S
        while not self.address.listening():
            if not running.alive() or time.monotonic() > deadline:
                raise ServerError(f"{self.name} ended", where="its log")
            time.sleep(0.02)
        self.readied += 1

    def ask(self) -> bool:
        with self.address.client(1.0) as client:
            return client.get("/").is_success


def main(run: Path) -> None:
    with StopSignals() as signals:
        events = Events(run.parent / "supervisor.log")
        with Supervisor(run, events, signals) as supervisor:
            watchdogs = [supervisor.begin(Small(run, name).service(), QUICK) for name in ("back", "front")]
            for watchdog in watchdogs:
                supervisor.wait(watchdog, READY_S)
            sys.stdout.write(f"ready {' '.join(str(k.running.process.pid) for k in watchdogs if k.running)}\n")
            sys.stdout.flush()
            supervisor.run()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except ServerError as error:
        sys.exit(error.what)
