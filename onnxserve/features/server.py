"""Feast's own server of online features, on loopback, started and ended with the model server."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from onnxserve.errors import FeatureError
from onnxserve.processes import end_group, listening

from .load import LOG_LINES
from .repo import Repo

PORT = 6566  # Feast's
LOOKUPS = 4
READY_S = 90.0  # importing Feast takes seconds, on a busy machine many
STOP_S = 10.0


@dataclass(frozen=True)
class FeatureServer:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the process group, first kindly."""
        end_group(self.process, signal.SIGTERM, STOP_S)


def start_features(repo: Repo, port: int = PORT, workers: int = 1) -> FeatureServer:
    """Start it and wait until it answers; FeatureError with the end of its log when it doesn't."""
    if listening(port):
        raise FeatureError(f"port {port} is taken", fix="stop the other server, or choose another port")
    log = repo.home / "server.log"
    words = ["serve", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers), "--no-access-log"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            repo.command(*words), env=repo.environment(), stdout=stream, stderr=stream, start_new_session=True
        )
    server = FeatureServer(process, f"http://127.0.0.1:{port}", log)
    deadline = time.monotonic() + READY_S
    while not answers(server.url):
        if not server.alive() or time.monotonic() > deadline:
            server.stop()
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise FeatureError("the feature server doesn't come up", where=str(log), fix="\n         ".join(lines))
        time.sleep(0.2)
    return server


def first_lookup(url: str, service: str, entities: Sequence[str]) -> None:
    """Lookups of nobody: the first makes the server read its registry, the second takes as long; later ones take ms."""
    body = {"feature_service": service, "entities": {name: [0] for name in entities}}
    for _ in range(LOOKUPS):
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(f"{url}/get-online-features", json=body, timeout=READY_S, trust_env=False)


def answers(url: str) -> bool:
    """Whether a feature server says that it is well."""
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
