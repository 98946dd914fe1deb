"""Members' bytes, read once from beginning to end, and never more of them than the archive records."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator

from onnxserve.errors import ArchiveError

from .layout import read_local

CHUNK = 2**20


class DamagedMember(ValueError):
    """A member whose bytes aren't what its header says."""


def member_digests(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the hex SHA-256 of every member by name; ArchiveError for a damaged member."""
    digests = {}
    for info in archive.infolist():
        if info.is_dir():
            continue
        digest = hashlib.sha256()
        try:
            for chunk in chunks(archive, info):
                digest.update(chunk)
        except (DamagedMember, zlib.error, OSError) as error:
            raise ArchiveError(f"{info.filename} is damaged: {error}", where=str(archive.filename)) from error
        digests[info.filename] = digest.hexdigest()
    return digests


def chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes; DamagedMember unless exactly its packed bytes unpack to them, as TorchServe demands."""
    size = crc = 0
    for chunk in _decompress(archive, info):
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        if size > info.file_size:
            break
        yield chunk
    if (size, crc) != (info.file_size, info.CRC):
        raise DamagedMember("its size or its CRC differs from its header's")


def _decompress(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    packed = _read_compressed(archive, info)
    if info.compress_type == zipfile.ZIP_STORED:
        yield from packed
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        rest = piece
        while rest and not inflate.eof:
            yield inflate.decompress(rest, CHUNK)
            rest = inflate.unconsumed_tail
        if inflate.unused_data or (inflate.eof and rest):
            raise DamagedMember("bytes follow its end")
    while chunk := inflate.decompress(inflate.unconsumed_tail, CHUNK):
        yield chunk
    if not inflate.eof:
        raise DamagedMember("it ends too early")


def _read_compressed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    stream = archive.fp
    assert stream is not None  # noqa: S101 - it is open
    local = read_local(stream, info.header_offset)
    if local is None:
        raise DamagedMember("it has no header")
    position, end = local.begin, local.begin + info.compress_size
    while position < end:
        stream.seek(position)
        piece = stream.read(min(CHUNK, end - position))
        if not piece:
            raise DamagedMember("the file ends before it")
        position += len(piece)
        yield piece
