"""nginx's own log, without what clients sent.

nginx writes the request line, Host and Referer behind each of its messages, and has no format for this log. So it
writes to a pipe, and a thread here writes the file. Nobody waits: what the pipe has no room for is lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 2**16
# As `ngx_http_log_error` appends it: who asked, of which server, and the request line. A path without its query is in
# the access log too; it ends where one begins, or what could pass for the end of the quotation.
CONTEXT = re.compile(rb', client: ([^,]*)(?:, server: [^,]*)?(?:, request: "(\S+ /[^\s?#"]*))?.*')


def without_request(line: bytes) -> bytes:
    """A line of nginx's; of the request that it is about, the client's address, the method and the path are left."""
    found = CONTEXT.search(line)
    if found is None:
        return line
    request = b', request: "' + found[2] + b'"' if found[2] else b""
    return line[: found.start()] + b", client: " + found[1] + request


@contextlib.contextmanager
def error_log(path: Path) -> Iterator[int]:
    """A descriptor for a process to write to, which is closed here at the end of the block.

    Whoever inherited it may go on. What they write is appended to `path`, which may be renamed meanwhile.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_copy, args=(reading, path), name="error log", daemon=True).start()
    try:
        yield writing
    finally:
        os.close(writing)


def _copy(reading: int, path: Path) -> None:
    """Until nobody writes any more."""
    rest = b""
    while chunk := os.read(reading, CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        _append(path, lines)
    _append(path, [rest] if rest else [])
    os.close(reading)


def _append(path: Path, lines: list[bytes]) -> None:
    """A full disk costs lines."""
    with contextlib.suppress(OSError), path.open("ab") as log:
        log.write(b"".join(without_request(line) + b"\n" for line in lines))
