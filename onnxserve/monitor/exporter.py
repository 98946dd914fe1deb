"""The workers' histograms on a Unix socket, which Envoy shows beside its own; dead workers' gauges are taken away.

Files and their merging are prometheus-client's: https://prometheus.github.io/client_python/multiprocess/.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

from onnxserve.errors import MonitorError


class Server(ThreadingMixIn, UnixStreamServer):
    """One thread a scrape; a slow one holds up no other."""

    daemon_threads = True
    folder: Path

    def get_request(self) -> tuple[Any, Any]:
        """A Unix socket's clients have no address, which the handler's log wants."""
        connection, _ = super().get_request()
        return connection, ("prometheus", 0)


class Handler(BaseHTTPRequestHandler):
    """Any path is the page."""

    server: Server

    def do_GET(self) -> None:
        """Everything that was counted so far."""
        content = page(self.server.folder)
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Scrapes are no news."""


class Exporter:
    """A running page."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="exporter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more scrapes."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def page(folder: Path) -> bytes:
    """All processes' values, in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    bury(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def bury(folder: Path) -> None:
    """Remove gauges of processes that are gone; counters and histograms of theirs still count."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not alive(int(pid)):
            path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fresh(folder: Path) -> Path:
    """An empty folder for a server's workers to count in."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def start_exporter(folder: Path, socket: Path) -> Exporter:
    """Serve the page on `socket`."""
    try:
        import prometheus_client  # noqa: F401 - said now rather than at the first scrape
    except ModuleNotFoundError as error:
        raise MonitorError("prometheus-client is not installed", fix="pip install 'onnxserve[monitor]'") from error
    socket.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        socket.unlink()
    server = Server(str(socket), Handler)
    server.folder = folder
    return Exporter(server)
