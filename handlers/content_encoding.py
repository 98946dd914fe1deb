"""Bodies that a client compressed: RFC 9110, section 8.4.1, and RFC 1952."""

from __future__ import annotations

import zlib

from .errors import BodyTooLarge, UndecodableBody, UnsupportedMedia

IDENTITY = frozenset({"", "identity"})
GZIP = frozenset({"gzip", "x-gzip"})
GZIP_BITS = 31  # zlib's name for gzip's header and the largest window
MEMBERS = 16  # each costs a copy of what follows it
WHERE = "Content-Encoding"


def decode(content: bytes | bytearray, encoding: str, max_bytes: int) -> bytes | bytearray:
    """The body as it was before `encoding`; at most `max_bytes` are made of it.

    Raises UnsupportedMedia, UndecodableBody or BodyTooLarge.
    """
    coding = encoding.strip().lower()
    if coding in IDENTITY:
        return content
    if coding not in GZIP:
        raise UnsupportedMedia(
            f"content coding {encoding!r} is not supported", where=WHERE, fix="send gzip, or the body as it is"
        )
    return _inflated(content, max_bytes)


def _inflated(content: bytes | bytearray, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = max_bytes
    rest: bytes | bytearray = content
    for _ in range(MEMBERS):
        member = zlib.decompressobj(GZIP_BITS)
        try:
            # One byte more than is accepted tells a body that ends there from one that goes on.
            parts.append(member.decompress(rest, left + 1))
        except zlib.error as error:
            raise UndecodableBody(f"not gzip: {error}", where=WHERE) from error
        left -= len(parts[-1])
        if left < 0:
            raise BodyTooLarge(f"more than {max_bytes} bytes when inflated", fix="send fewer or smaller rows")
        if not member.eof:
            raise UndecodableBody("gzip that is cut off", where=WHERE)
        rest = member.unused_data
        if not rest:
            return b"".join(parts) if len(parts) > 1 else parts[0]
    raise UndecodableBody(f"more than {MEMBERS} members of gzip", where=WHERE, fix="compress the body at once")
