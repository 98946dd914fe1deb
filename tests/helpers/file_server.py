"""A web server of files that honours Range and If-Range, and that breaks off where a test says."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class ReceivedRequest(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]


class Reply(NamedTuple):
    """An answer that a test makes itself."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class FileServer:
    """Files by path; `routes` replies first. `breaks` are the bytes after which the next answers with a body end."""

    files: dict[str, bytes] = field(default_factory=dict)
    routes: Callable[[ReceivedRequest], Reply | None] = lambda _: None
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    marks: bool = True
    requests: list[ReceivedRequest] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ranges_of(self, path: str) -> list[str]:
        return [each.headers.get("range", "") for each in self.requests if each.path == path]

    def reply(self, request: ReceivedRequest) -> Reply:
        """What the server answers, with the part of a file that a range names."""
        reply = self.routes(request)
        if reply is not None:
            return reply
        content = self.files.get(request.path.partition("?")[0])
        if content is None:
            return Reply(404, {}, b"no such file")
        mark = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        headers = {"etag": mark} if self.marks else {}
        span = RANGE.fullmatch(request.headers.get("range", "")) if self.ranges else None
        if span is None or request.headers.get("if-range", mark) != mark:
            return Reply(200, headers, content)
        first = int(span[1])
        if first >= len(content):
            return Reply(416, {"content-range": f"bytes */{len(content)}"})
        last = min(int(span[2] or len(content) - 1), len(content) - 1)
        return Reply(
            206, headers | {"content-range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]
        )


@contextmanager
def running(server: FileServer) -> Iterator[FileServer]:
    """The server on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = ReceivedRequest(self.command, self.path, headers)
            server.requests.append(request)
            reply = server.reply(request)
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            sent = reply.body
            if len(sent) > 0 and server.breaks and reply.status in (200, 206):
                sent = sent[: server.breaks.pop(0)]
                self.close_connection = True
            self.wfile.write(sent)

        do_GET = do_HEAD = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
