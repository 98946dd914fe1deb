"""An HTTP server on a unix socket, in a thread of this process."""

from __future__ import annotations

import contextlib
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any


class SocketServer(ThreadingMixIn, UnixStreamServer):
    """A server with one thread per request, so that a slow one delays no other."""

    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        """Give the client an address, which unix sockets lack and the request handler needs."""
        connection, _ = super().get_request()
        return connection, ("local", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report the error of a request, unless the client left before its answer, as a page that is closed does."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class SocketHandler(BaseHTTPRequestHandler):
    """The base of handlers: it logs nothing, since nginx is the only client."""

    def send_content(self, status: int, kind: str, content: bytes) -> None:
        """Send a whole answer; `kind` is its content type."""
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log no requests."""


class RunningServer:
    """A server that answers until it is stopped."""

    def __init__(self, server: SocketServer, name: str) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server; requests under way are not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def remove_socket(path: Path) -> Path:
    """Remove the socket that a server which was killed left behind; return its path."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return path
