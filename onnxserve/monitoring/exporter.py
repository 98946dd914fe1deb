"""The exporter: one page of metrics for Prometheus on a unix socket, which nginx serves.

prometheus-client writes the files of workers and merges them: https://prometheus.github.io/client_python/multiprocess/.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

from onnxserve.errors import MonitorError

Page = Callable[[], bytes]
log = logging.getLogger(__name__)


class Server(ThreadingMixIn, UnixStreamServer):
    """A server with one thread per scrape, so that a slow scrape delays no other."""

    daemon_threads = True
    pages: tuple[Page, ...]

    def get_request(self) -> tuple[Any, Any]:
        """Give the client an address, which unix sockets lack and the request handler needs."""
        connection, _ = super().get_request()
        return connection, ("prometheus", 0)

    def content(self) -> bytes:
        """Return all pages as one; a page that fails is left out and logged."""
        parts = []
        for page in self.pages:
            try:
                parts.append(page())
            except Exception:
                log.exception("a page of metrics can't be built")
        return b"".join(parts)


class Handler(BaseHTTPRequestHandler):
    """Answers every path with the page."""

    server: Server

    def do_GET(self) -> None:
        """Send the metrics."""
        content = self.server.content()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log no scrapes."""


class Exporter:
    """A running exporter."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="exporter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def workers_page(folder: Path) -> bytes:
    """Return the metrics of all workers that count in `folder`; MonitorError without prometheus-client."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector
    except ModuleNotFoundError as error:
        raise MonitorError("prometheus-client is not installed", fix="pip install 'onnxserve[monitor]'") from error
    remove_stale_gauges(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def remove_stale_gauges(folder: Path) -> None:
    """Remove gauges of processes that have ended; their counters and histograms still count."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not process_exists(int(pid)):
            path.unlink(missing_ok=True)


def process_exists(pid: int) -> bool:
    """Return whether a process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def empty_folder(folder: Path) -> Path:
    """Return the folder, emptied for the counters of a new server's workers."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def start_exporter(socket: Path, *pages: Page) -> Exporter:
    """Serve the pages, joined, on `socket`; each scrape builds them anew."""
    with contextlib.suppress(FileNotFoundError):
        socket.unlink()
    server = Server(str(socket), Handler)
    server.pages = pages
    return Exporter(server)
