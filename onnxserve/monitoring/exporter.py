"""One page for Prometheus on a unix socket, which nginx shows: what gateway and workers count.

Workers' files and their merging are prometheus-client's: https://prometheus.github.io/client_python/multiprocess/.
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
    """One thread a scrape; a slow one holds up no other."""

    daemon_threads = True
    pages: tuple[Page, ...]

    def get_request(self) -> tuple[Any, Any]:
        """A Unix socket's clients have no address, which the handler's log wants."""
        connection, _ = super().get_request()
        return connection, ("prometheus", 0)

    def content(self) -> bytes:
        """All pages as one; a part that can't be made is left out, since the others matter the more then."""
        parts = []
        for page in self.pages:
            try:
                parts.append(page())
            except Exception:
                log.exception("a part of the metrics can't be made")
        return b"".join(parts)


class Handler(BaseHTTPRequestHandler):
    """Any path is the page."""

    server: Server

    def do_GET(self) -> None:
        """Everything that was counted so far."""
        content = self.server.content()
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


def workers_page(folder: Path) -> bytes:
    """Values of all workers that count in `folder`, in Prometheus' text format. MonitorError without the client."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector
    except ModuleNotFoundError as error:
        raise MonitorError("prometheus-client is not installed", fix="pip install 'onnxserve[monitor]'") from error
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


def start_exporter(socket: Path, *pages: Page) -> Exporter:
    """Serve the pages, one after the other, on `socket`; each is made anew for a scrape."""
    with contextlib.suppress(FileNotFoundError):
        socket.unlink()
    server = Server(str(socket), Handler)
    server.pages = pages
    return Exporter(server)
