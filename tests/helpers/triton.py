"""Triton's real server, which a wheel carries, with its Python backend."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.tritonserver import TritonServer, find_server
from onnxserve.processes import bound
from onnxserve.torchserve import free_ports
from tests.helpers import plain_http
from tests.helpers.environments import go_without
from tests.helpers.waiting import wait_for


@dataclass(frozen=True)
class Addresses:
    """A running server by its addresses, and the file of its output."""

    http: str
    grpc: str
    log: Path

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return plain_http.get(f"http://{self.http}/v2/health/ready", timeout=5).is_success
        return False


def server_in(folder: Path) -> TritonServer:
    """Return the server of an environment that has the wheel; a machine without a shared libpython goes without it."""
    try:
        return find_server(folder / "bin" / "python")
    except RuntimeError as error:
        go_without(str(error))


@contextlib.contextmanager
def running(server: TritonServer, models: Path, folder: Path) -> Iterator[Addresses]:
    """Serve a repository over HTTP and gRPC on free ports of loopback, in a process group of its own."""
    http, grpc = free_ports(2)
    command = server.command(models, folder / "backends")
    command += ["--http-address=127.0.0.1", f"--http-port={http}", "--grpc-address=127.0.0.1", f"--grpc-port={grpc}"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | server.variables
    addresses = Addresses(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", folder / "log.txt")
    with addresses.log.open("wb") as log:
        process = subprocess.Popen(
            bound(command, signal.SIGTERM), env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: addresses.is_ready() or process.poll() is not None)
        assert process.poll() is None, addresses.log.read_text(errors="replace")[-3000:]
        yield addresses
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
