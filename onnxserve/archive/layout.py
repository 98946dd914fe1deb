"""The layout of a zip that is the same for readers of its directory and for readers from its beginning.

TorchServe unpacks with Java's ZipInputStream, which takes local headers in sequence and never sees the directory;
Python goes by the directory alone. An archive is canonical, and every check of it holds for both, if its members lie
one behind the other from the first byte to the directory, each described alike in both places, and nothing follows.
The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.5.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

LOCAL = struct.Struct("<4s5H3L2H")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_BYTES = 20
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
UTF8, LEVEL = 0x800, 0x006  # flags that change nothing of what is read
ENCRYPTED, DESCRIPTOR = 0x001, 0x008
UNKNOWN = 0xFFFFFFFF  # a size that an extra field has instead
ZIP64 = 0x0001
TIMES_AND_OWNERS = {0x000A, 0x5455, 0x5855, 0x7875}


@dataclass(frozen=True)
class Local:
    """The fields of a local header, and the offset of the member's data."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    extra: bytes
    begin: int


def layout_faults(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield each fault of the layout as a sentence; none for a canonical archive."""
    stream, position = archive.fp, 0
    assert stream is not None  # noqa: S101 - it is open
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset != position:
            yield f"bytes at {min(position, info.header_offset)} belong to no member of the directory"
            return
        local = read_local(stream, position)
        if local is None:
            yield f"{info.filename!r} has no local header"
            return
        yield from (f"{info.filename!r} {fault}" for fault in member_faults(local, info))
        position = local.begin + info.compress_size
    if position != archive.start_dir:
        yield f"bytes at {position} belong to no member of the directory"
    if not ends_with_directory(stream, archive):
        yield "bytes follow the directory"


def read_local(stream: IO[bytes], position: int) -> Local | None:
    """Return the local header at `position`; None if there is none."""
    stream.seek(position)
    head = stream.read(LOCAL.size)
    if len(head) < LOCAL.size:
        return None
    mark, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = LOCAL.unpack(head)
    if mark != b"PK\x03\x04":
        return None
    name, extra = stream.read(name_bytes), stream.read(extra_bytes)
    return Local(name, flags, method, crc, packed, size, extra, position + LOCAL.size + name_bytes + extra_bytes)


def member_faults(local: Local, info: zipfile.ZipInfo) -> Iterator[str]:
    """Yield each fault of a member that makes the two kinds of readers disagree."""
    if local.flags & ENCRYPTED:
        yield "is encrypted by the zip"
    if local.flags & DESCRIPTOR:
        yield "has its size behind it, where only some readers look"
    if local.flags & ~(UTF8 | LEVEL | ENCRYPTED | DESCRIPTOR) or local.method not in METHODS:
        yield "is packed in a way that TorchServe doesn't read"
    if info.orig_filename != info.filename or local.name != name_bytes(info):
        yield "has two names"
    fields = extra_fields(local.extra)
    if fields is None or set(fields) - TIMES_AND_OWNERS - {ZIP64}:
        yield "has extra fields that readers understand in different ways"
        return
    sizes = sizes_of(local, fields)
    if (local.flags, local.method, local.crc, *sizes) != (
        info.flag_bits,
        info.compress_type,
        info.CRC,
        info.compress_size,
        info.file_size,
    ):
        yield "is described differently in its header and in the directory"
    if info.filename.endswith("/") and info.file_size:
        yield "is a folder with content"


def name_bytes(info: zipfile.ZipInfo) -> bytes:
    """Return the name as it must be written: only flagged UTF-8 and ASCII mean the same to all readers."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "ascii", errors="backslashreplace")


def extra_fields(extra: bytes) -> dict[int, bytes] | None:
    """Return the extra fields by identifier; None if they are malformed, or one is there twice."""
    fields: dict[int, bytes] = {}
    while extra:
        if len(extra) < 4:
            return None
        kind, size = struct.unpack_from("<2H", extra)
        if kind in fields or len(extra) < 4 + size:
            return None
        fields[kind], extra = extra[4 : 4 + size], extra[4 + size :]
    return fields


def sizes_of(local: Local, fields: dict[int, bytes]) -> tuple[int, int]:
    """Return packed and unpacked size; (-1, -1) if the header and its 64-bit field don't agree."""
    wide = fields.get(ZIP64)
    if wide is None and UNKNOWN not in {local.packed, local.size}:
        return local.packed, local.size
    if wide is None or len(wide) != 16 or {local.packed, local.size} != {UNKNOWN}:
        return -1, -1
    size, packed = struct.unpack("<2Q", wide)
    return packed, size


def ends_with_directory(stream: IO[bytes], archive: zipfile.ZipFile) -> bool:
    """Return whether the directory ends the file, and its end record has the right place and count."""
    total = stream.seek(0, 2)
    stream.seek(max(0, total - END.size))
    tail = stream.read(END.size)
    if len(tail) < END.size:
        return False
    mark, _, _, _, count, size, begin, comment = END.unpack(tail)
    directory_end = total - END.size
    if (wide := read_end64(stream, directory_end)) is not None:
        count, size, begin = wide
        directory_end -= LOCATOR_BYTES + END64.size
    where = (mark, comment, count, begin, begin + size)
    return where == (b"PK\x05\x06", 0, len(archive.infolist()), archive.start_dir, directory_end)


def read_end64(stream: IO[bytes], end: int) -> tuple[int, int, int] | None:
    """Return count, size and offset of the directory by the 64-bit record before `end`; None without one."""
    stream.seek(max(0, end - LOCATOR_BYTES - END64.size))
    record = stream.read(END64.size + LOCATOR_BYTES)
    if len(record) < END64.size + LOCATOR_BYTES or record[END64.size : END64.size + 4] != b"PK\x06\x07":
        return None
    *_, count, size, begin = END64.unpack_from(record)
    return count, size, begin
