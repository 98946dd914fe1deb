"""The text of a file, unpacked where it is compressed; a damaged file is an error that names it."""

from __future__ import annotations

from typing import IO, Self

import pyarrow as pa
from fsspec.core import OpenFile, get_compression

from onnxserve.errors import BatchError
from onnxserve.locations.filesystem import locate

ZSTD = ".zst"
PASSED = 2**20  # bytes read at a time on the way to a place


class TextStream:
    """Reads a file from its first byte on; every failure is a BatchError."""

    def __init__(self, url: str) -> None:
        self._url, self._place = url, 0
        try:
            self._stream, self._is_packed = _opened(url)
        except (OSError, ValueError, ImportError) as error:
            raise BatchError(f"can't be read: {error}", where=url) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        try:
            some = self._stream.read(size)
        except Exception as error:  # the errors of decompressors have no class in common
            fix = "the file is cut off or damaged: fetch or pack it again" if self._is_packed else ""
            reason = str(error) or type(error).__name__
            raise BatchError(f"can't be read to its end: {reason}", where=self._url, fix=fix) from error
        self._place += len(some)
        return some

    def advance(self, place: int) -> None:
        """Go forward to a place: an offset in the unpacked text."""
        if not self._is_packed:
            self._stream.seek(place)
            self._place = place
            return
        while self._place < place and self.read(min(PASSED, place - self._place)):
            pass


def _opened(url: str) -> tuple[IO[bytes], bool]:
    """Return a stream of the unpacked text, and whether the file is compressed.

    Arrow unpacks zstd, since the package zstandard takes a file that is cut off for a shorter one.
    """
    system, path = locate(url)
    if path.lower().endswith(ZSTD):
        return pa.CompressedInputStream(system.open(path, "rb"), "zstd"), True
    compression = get_compression(path, "infer")
    return OpenFile(system, path, "rb", compression).open(), compression is not None
