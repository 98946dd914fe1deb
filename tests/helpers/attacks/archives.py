"""Archives made to harm, as bytes: each is a good archive but for one thing."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
EVIL = b"""class Evil:
    def initialize(self, context): pass
    def handle(self, data, context): return ["EVIL"] * len(data)
"""
HANDLER = "service.py"


def local_member(name: str, content: bytes, *, flags: int = 0, extra: bytes = b"") -> bytes:
    """A local header and its stored content, of which no directory needs to know."""
    crc, size, encoded = zlib.crc32(content), len(content), name.encode()
    head = LOCAL.pack(b"PK\3\4", 20, flags, 0, 0, 33, crc, size, size, len(encoded), len(extra))
    return head + encoded + extra + content


def split_archive(archive: bytes) -> tuple[bytes, bytes, bytes]:
    """Members, directory and its end."""
    end = len(archive) - END.size
    *_, begin, _ = END.unpack(archive[end:])
    return archive[:begin], archive[begin:end], archive[end:]


def join_archive(members: bytes, directory: bytes, end: bytes) -> bytes:
    """An archive whose end says where its directory is."""
    fields = list(END.unpack(end))
    fields[6] = len(members)
    return members + directory + END.pack(*fields)


def add_second_header(archive: bytes) -> bytes:
    """Java sees a second handler, which replaces the first; the directory doesn't mention it."""
    members, directory, end = split_archive(archive)
    return join_archive(members + local_member(HANDLER, EVIL), directory, end)


def prepend_header(archive: bytes) -> bytes:
    """Java sees another member first; the directory's offsets count from behind it."""
    return local_member("sitecustomize.py", EVIL) + archive


def rename_in_header(archive: bytes) -> bytes:
    """A member that is `golden.json` by the directory and code by its header."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        begin = opened.getinfo("golden.json").header_offset + LOCAL.size
    return archive[:begin] + b"encoding.py" + archive[begin + 11 :]


def append_bytes(archive: bytes) -> bytes:
    """Bytes behind the end."""
    return archive + b"#!/bin/sh\nexit\n"


def add_comment(archive: bytes) -> bytes:
    """A comment, in which another zip could be."""
    return archive[:-2] + struct.pack("<H", 4) + b"zip?"


def truncate(archive: bytes) -> bytes:
    """As a copy that was interrupted."""
    return archive[: len(archive) // 2]


def flip_bit(archive: bytes) -> bytes:
    """One bit of a member's content."""
    changed = bytearray(archive)
    begin, size = content_span(archive, HANDLER)
    changed[begin + size // 2] ^= 1
    return bytes(changed)


def content_span(archive: bytes, name: str) -> tuple[int, int]:
    """Where a member's content begins, and its size."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        info = opened.getinfo(name)
    *_, name_bytes, extra_bytes = LOCAL.unpack_from(archive, info.header_offset)
    return info.header_offset + LOCAL.size + name_bytes + extra_bytes, info.file_size


def change_header(archive: bytes, name: str, change: Callable[[list[int]], None], *, both: bool = False) -> bytes:
    """With fields of a local header changed: 2 flags, 3 method, 6 CRC, 7 packed size, 8 size.

    If `both`, they are changed in the directory too, where each stands one place later.
    """
    changed = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        info, directory = opened.getinfo(name), opened.start_dir
        names = [entry.filename for entry in opened.infolist()]
    fields = list(LOCAL.unpack_from(archive, info.header_offset))
    change(fields)
    LOCAL.pack_into(changed, info.header_offset, *fields)
    if both:
        place = directory
        for earlier in names[: names.index(name)]:
            place += CENTRAL.size + len(earlier.encode())
        entry = list(CENTRAL.unpack_from(archive, place))
        entry[3:10] = fields[2:9]
        CENTRAL.pack_into(changed, place, *entry)
    return bytes(changed)


def mark_as_encrypted(archive: bytes) -> bytes:
    """A member that says it is encrypted."""

    def change(fields: list[int]) -> None:
        fields[2] |= 1

    return change_header(archive, "golden.json", change, both=True)


def move_size_behind(archive: bytes) -> bytes:
    """A stored member that has its size behind it, so that Java and the directory may part it in two ways."""

    def change(fields: list[int]) -> None:
        fields[2] |= 8

    return change_header(archive, "golden.json", change, both=True)


def shrink_size(archive: bytes) -> bytes:
    """A header that says of its member less than the directory: Java takes the rest for the next header."""

    def change(fields: list[int]) -> None:
        fields[7] = fields[8] = fields[8] - 40

    return change_header(archive, HANDLER, change)


def rezip(
    archive: bytes, *added: tuple[str, bytes, int], packed: bool = True, without: frozenset[str] = frozenset()
) -> bytes:
    """Written again by Python's zipfile, as torch-model-archiver does, with more members: name, content, kind."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as source,
        zipfile.ZipFile(target, "w") as copy,
        warnings.catch_warnings(),
    ):
        for info in source.infolist():
            if info.filename not in without:
                copy.writestr(info.filename, source.read(info), zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
        warnings.simplefilter("ignore")  # zipfile itself finds names odd that are written twice
        for name, content, kind in added:
            member = zipfile.ZipInfo("x")
            member.filename, member.external_attr = name, (kind | 0o644) << 16
            copy.writestr(member, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return target.getvalue()


def add_member(name: str, content: bytes = EVIL, kind: int = stat.S_IFREG) -> Callable[[bytes], bytes]:
    """A member more."""
    return lambda archive: rezip(archive, (name, content, kind))


def add_packed_rest(archive: bytes) -> bytes:
    """A packed member that ends before its bytes do: Java refuses it, the directory's readers don't notice."""
    content = b"rest"
    compress = zlib.compressobj(wbits=-15)
    packed = compress.compress(content) + compress.flush() + b"more"
    crc, name = zlib.crc32(content), b"rest.txt"
    sizes = (crc, len(packed), len(content))
    members, directory, end = split_archive(archive)
    head = LOCAL.pack(b"PK\3\4", 20, 0, 8, 0, 33, *sizes, len(name), 0) + name + packed
    entry = CENTRAL.pack(b"PK\1\2", 20, 20, 0, 8, 0, 33, *sizes, len(name), 0, 0, 0, 0, 0, len(members)) + name
    fields = list(END.unpack(end))
    fields[3] += 1
    fields[4] += 1
    fields[5] += len(entry)
    return join_archive(members + head, directory + entry, END.pack(*fields))


# By what it does: the bytes, and a word of why it is refused.
HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "second-header": (add_second_header, "belong to no member"),
    "header-in-front": (prepend_header, "belong to no member"),
    "other-name": (rename_in_header, "has two names"),
    "trailing": (append_bytes, "bytes follow the directory"),
    "comment": (add_comment, "not an archive|bytes follow the directory"),
    "truncated": (truncate, "not an archive"),
    "flipped": (flip_bit, "service.py is damaged"),
    "encrypted": (mark_as_encrypted, "is encrypted"),
    "descriptor": (move_size_behind, "has its size behind it"),
    "other-size": (shrink_size, "described differently"),
    "deflate-with-rest": (add_packed_rest, "rest.txt is damaged: bytes follow its end"),
    "twice": (add_member(HANDLER), "the same member twice"),
    "twice-by-dot": (add_member(f"./{HANDLER}"), "the same member twice"),
    "absolute": (add_member("/etc/cron.d/evil"), "leaves the folder"),
    "parent": (add_member("../evil.py"), "leaves the folder"),
    "backslash": (add_member("..\\evil.py"), "leaves the folder"),
    "link": (add_member("link", b"/etc/passwd", stat.S_IFLNK), "is a link"),
    "bomb": (add_member("bomb", b"\0" * 30_000_000), "expands more than"),
    "cache": (add_member("__pycache__/service.cpython-311.pyc"), "compiled code"),
    "unrecorded": (add_member("sitecustomize.py"), "sitecustomize.py is not recorded"),
}
