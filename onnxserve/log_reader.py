"""Reading the lines appended to a log that may be renamed, truncated or missing."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

CHUNK = 2**20
MOST_LINE = 2**20  # a longer line is taken as damage
MOST_BEHIND = 64 * 2**20


class LogReader:
    """Reads whole lines that are appended after the reader was made.

    A file that was renamed to `….1`, `….2` and so on is read to its end before the next newer one. A reader that is
    more than `most_behind` bytes behind in a file skips to its end; `skipped` counts the skipped lines.
    """

    def __init__(self, path: Path, most_behind: int = MOST_BEHIND) -> None:
        self._path = path
        self._most_behind = most_behind
        self._rest = b""
        self._ending = False
        self.skipped = 0
        self._stream: io.FileIO | None = None
        self._stream = open_file(path)
        if self._stream is not None:
            self._stream.seek(0, os.SEEK_END)

    def read(self) -> Iterator[bytes]:
        """Yield the lines since the last call, in chunks of about a mebibyte without the last newline."""
        if self._stream is None:
            self._stream = open_file(self._path)
        while self._stream is not None:
            yield from self._read_appended(self._stream)
            newer = self._successor(self._stream)
            if newer is None:
                return
            # The writer changes to a new file a moment after it appears: read the old one once more at the next call.
            if newer == self._path and not self._ending:
                self._ending = True
                return
            self.close()
            self._stream = open_file(newer)

    def close(self) -> None:
        """Close the file; the next call of `read` starts at the first line of the file that exists then."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._rest, self._ending = None, b"", False

    def __del__(self) -> None:
        self.close()

    def _read_appended(self, stream: io.FileIO) -> Iterator[bytes]:
        at, size = stream.tell(), os.fstat(stream.fileno()).st_size
        if size < at:  # it was truncated
            at, self._rest = stream.seek(0), b""
        behind = size - at > self._most_behind
        while at < size and (chunk := stream.read(min(CHUNK, size - at))):
            at += len(chunk)
            lines, newline, rest = (self._rest + chunk).rpartition(b"\n")
            self._rest = rest if len(rest) <= MOST_LINE else b""
            if newline and behind:
                self.skipped += lines.count(b"\n") + 1
            elif newline:
                yield lines

    def _successor(self, stream: io.FileIO) -> Path | None:
        """Return the next newer file; None while there is none."""
        newer, own = None, os.fstat(stream.fileno())
        for number in itertools.count():
            path = self._path.with_name(f"{self._path.name}.{number}") if number else self._path
            try:
                if os.path.samestat(path.stat(), own):
                    return newer
                newer = path
            except FileNotFoundError:
                if number:
                    return newer  # the open file was removed, so this is the oldest one left
        return None


def open_file(path: Path) -> io.FileIO | None:
    """Open a file at its beginning; None if it doesn't exist."""
    try:
        return io.FileIO(path)
    except FileNotFoundError:
        return None
