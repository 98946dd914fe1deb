"""nginx's error log without the data of clients.

nginx appends the request line, Host and Referer to each message, and this log has no configurable format. So nginx
writes to a pipe, and a thread here removes them and writes the file. nginx never waits: lines that the full pipe
doesn't take are lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 2**16
# What `ngx_http_log_error` appends: client, server and request line. The path is kept, as in the access log; it ends at
# the query, or at a character that could pass for the closing quote.
CONTEXT = re.compile(rb', client: ([^,]*)(?:, server: [^,]*)?(?:, request: "(\S+ /[^\s?#"]*))?.*')


def without_request(line: bytes) -> bytes:
    """Return a line of nginx with only the client's address, the method and the path of its request."""
    context = CONTEXT.search(line)
    if context is None:
        return line
    request = b', request: "' + context[2] + b'"' if context[2] else b""
    return line[: context.start()] + b", client: " + context[1] + request


@contextlib.contextmanager
def error_log(path: Path) -> Iterator[int]:
    """Give a descriptor for a process to write to; it is closed here at the end of the block.

    A process that inherited it may go on writing. The lines are appended to `path`, which may be renamed meanwhile.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_copy, args=(reading, path), name="error log", daemon=True).start()
    try:
        yield writing
    finally:
        os.close(writing)


def _copy(reading: int, path: Path) -> None:
    """Copy lines until every writer has closed the pipe."""
    rest = b""
    while chunk := os.read(reading, CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        _append(path, lines)
    _append(path, [rest] if rest else [])
    os.close(reading)


def _append(path: Path, lines: list[bytes]) -> None:
    """Append lines to the file; on a full disk they are lost."""
    with contextlib.suppress(OSError), path.open("ab") as log:
        log.write(b"".join(without_request(line) + b"\n" for line in lines))
