"""What is appended to a log that may be renamed, cut, or not be there yet."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

CHUNK = 2**20
MOST_LINE = 2**20  # a longer line is damage
MOST_BEHIND = 64 * 2**20


class LogReader:
    """Whole lines that come after the reader was made.

    Files that were renamed to `….1`, `….2` and so on, the youngest first, are read to their end, then the new one.
    Whoever is more than `most_behind` bytes behind in a file goes on at its end: `skipped` counts the lines that nobody
    reads.
    """

    def __init__(self, path: Path, most_behind: int = MOST_BEHIND) -> None:
        self._path = path
        self._most_behind = most_behind
        self._rest = b""
        self._ending = False
        self.skipped = 0
        self._stream: io.FileIO | None = None
        self._stream = opened(path)
        if self._stream is not None:
            self._stream.seek(0, os.SEEK_END)

    def read(self) -> Iterator[bytes]:
        """Lines that came since the last call, in chunks of about a mebibyte without the last newline."""
        if self._stream is None:
            self._stream = opened(self._path)
        while self._stream is not None:
            yield from self._appended(self._stream)
            newer = self._successor(self._stream)
            if newer is None:
                return
            # The writer gets a new file a moment after it is there, so the old one is read once more at the next call.
            if newer == self._path and not self._ending:
                self._ending = True
                return
            self.close()
            self._stream = opened(newer)

    def close(self) -> None:
        """Let the file go; the next call of `read` begins with the first line of whatever is there then."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._rest, self._ending = None, b"", False

    def __del__(self) -> None:
        self.close()

    def _appended(self, stream: io.FileIO) -> Iterator[bytes]:
        at, size = stream.tell(), os.fstat(stream.fileno()).st_size
        if size < at:  # it was cut
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
        """The file that was begun after this one; None while there is none."""
        newer, own = None, os.fstat(stream.fileno())
        for number in itertools.count():
            path = self._path.with_name(f"{self._path.name}.{number}") if number else self._path
            try:
                if os.path.samestat(path.stat(), own):
                    return newer
                newer = path
            except FileNotFoundError:
                if number:
                    return newer  # this one was removed: the oldest that is left
        return None


def opened(path: Path) -> io.FileIO | None:
    """The file from its beginning; None if there is none."""
    try:
        return io.FileIO(path)
    except FileNotFoundError:
        return None
