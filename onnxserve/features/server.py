"""Feast's server of online features on loopback, started and stopped with the model server."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from onnxserve.client import parse_address
from onnxserve.errors import FeatureError
from onnxserve.processes import end_group, lines_since, listening, log_size, spawn

from .load import failure, load_commands
from .repo import Repo

PORT = 6566  # Feast's default
LOOKUPS = 4
READY_S = 90.0  # importing Feast takes seconds, on a busy machine many
STOP_S = 10.0
ANSWER_S = 2.0
POLL_S = 0.2


@dataclass(frozen=True)
class FeatureServer:
    """A started server; it writes to `log` from byte `begin` on."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    begin: int = 0

    def alive(self) -> bool:
        """Return whether the process runs."""
        return self.process.poll() is None

    def wait(self, timeout_s: float = READY_S) -> None:
        """Wait until the server answers; FeatureError with the end of its log if it doesn't."""
        deadline = time.monotonic() + timeout_s
        while not answers(self.url):
            if not self.alive() or time.monotonic() > deadline:
                lines = lines_since(self.log, self.begin)
                raise failure("the feature server doesn't come up", lines, str(self.log))
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop the process group gracefully; kill it after STOP_S seconds."""
        end_group(self.process, signal.SIGTERM, STOP_S)


def begin_features(repo: Repo, port: int = PORT, *, loaded: bool = True, record: Path | None = None) -> FeatureServer:
    """Start the server and return at once; unless the store is `loaded`, the same process loads it first.

    FeatureError if the port is taken.
    """
    if listening(port):
        raise FeatureError(f"port {port} is taken", fix="stop the other server, or choose another port")
    serve = ["serve", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    log = repo.home / "server.log"
    begin = log_size(log)
    process = spawn(
        repo.command(*([] if loaded else load_commands()), serve),
        folder=repo.home,
        log=log,
        environment=repo.environment(),
        death=signal.SIGTERM,  # to the master, which ends its workers
        record=record,
    )
    return FeatureServer(process, f"http://127.0.0.1:{port}", log, begin)


def start_features(repo: Repo, port: int = PORT) -> FeatureServer:
    """Start the server on a loaded store and wait until it answers."""
    server = begin_features(repo, port)
    try:
        server.wait()
    except FeatureError:
        server.stop()
        raise
    return server


def first_lookup(url: str, service: str, entities: Sequence[str]) -> None:
    """Look up an unknown entity a few times: the first two lookups are slow, since the server reads its registry."""
    body = {"feature_service": service, "entities": {name: [0] for name in entities}}
    with parse_address(url).client(READY_S) as client:
        for _ in range(LOOKUPS):
            with contextlib.suppress(httpx.HTTPError):
                client.post("/get-online-features", json=body)


def answers(url: str) -> bool:
    """Return whether a feature server answers its health check."""
    with parse_address(url).client(ANSWER_S) as client:
        try:
            return client.get("/health").is_success
        except httpx.HTTPError:
            return False
