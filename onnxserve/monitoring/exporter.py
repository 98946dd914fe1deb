"""The exporter: one page of metrics for Prometheus on a unix socket, which nginx serves.

prometheus-client writes the files of workers and merges them: https://prometheus.github.io/client_python/multiprocess/.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from onnxserve.errors import MonitorError
from onnxserve.processes.http_socket import RunningServer, SocketHandler, SocketServer, remove_socket

MOST_DIGITS = 12  # of a step's number
Page = Callable[[], bytes]
log = logging.getLogger(__name__)


class Server(SocketServer):
    """Answers `/traffic` with the recent traffic, and every other path with the metrics."""

    pages: tuple[Page, ...]
    traffic: Callable[[int], bytes] | None

    def content(self) -> bytes:
        """Return all pages as one; a page that fails is left out and logged."""
        parts = []
        for page in self.pages:
            try:
                parts.append(page())
            except Exception:
                log.exception("a page of metrics can't be built")
        return b"".join(parts)


class Handler(SocketHandler):
    """Answers one request."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it
        """Send the traffic since a step, or the metrics."""
        url = urlsplit(self.path)
        if url.path == "/traffic" and self.server.traffic is not None:
            [since] = parse_qs(url.query).get("since", ["0"])[:1]
            content = self.server.traffic(int(since) if since.isdecimal() and len(since) <= MOST_DIGITS else 0)
            self.send_content(200, "application/json", content)
        else:
            self.send_content(200, "text/plain; version=0.0.4; charset=utf-8", self.server.content())


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


def start_exporter(socket: Path, *pages: Page, traffic: Callable[[int], bytes] | None = None) -> RunningServer:
    """Serve the pages, joined, on `socket`; each scrape builds them anew. `traffic` is `Observer.traffic`."""
    server = Server(str(remove_socket(socket)), Handler)
    server.pages, server.traffic = pages, traffic
    return RunningServer(server, "exporter")
