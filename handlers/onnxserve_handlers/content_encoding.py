"""Bodies that a client compressed: RFC 9110, section 8.4.1, RFC 1950 (`deflate`), RFC 1951 and RFC 1952 (`gzip`)."""

from __future__ import annotations

import zlib

from .errors import BodyTooLarge, UndecodableBody, UnsupportedMedia

IDENTITY = frozenset({"", "identity"})
GZIP = frozenset({"gzip", "x-gzip"})
DEFLATE = "deflate"
# zlib's names for a header and the largest window.
GZIP_BITS, ZLIB_BITS, RAW_BITS = 31, 15, -15
METHOD = 8  # of zlib's header: deflate
MEMBERS = 16  # each costs a copy of what follows it
WHERE = "Content-Encoding"


def decode(content: bytes | bytearray, encoding: str, max_bytes: int) -> bytes | bytearray:
    """The body as it was before `encoding`; at most `max_bytes` are made of it.

    Raises UnsupportedMedia, UndecodableBody or BodyTooLarge.
    """
    coding = encoding.strip().lower()
    if coding in IDENTITY:
        return content
    if coding in GZIP:
        return _inflated(content, coding, GZIP_BITS, max_bytes)
    if coding == DEFLATE:
        return _inflated(content, coding, ZLIB_BITS if has_zlib_header(content) else RAW_BITS, max_bytes)
    raise UnsupportedMedia(
        f"content coding {encoding!r} is not supported", where=WHERE, fix="send gzip or deflate, or the body as it is"
    )


def has_zlib_header(content: bytes | bytearray) -> bool:
    """Whether these are zlib's two bytes, without which some clients send `deflate` ("Note" in RFC 9110, 8.4.1.2)."""
    return len(content) > 1 and content[0] & 15 == METHOD and (content[0] << 8 | content[1]) % 31 == 0


def _inflated(content: bytes | bytearray, coding: str, bits: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = max_bytes
    rest: bytes | bytearray = content
    for _ in range(MEMBERS if bits == GZIP_BITS else 1):
        member = zlib.decompressobj(bits)
        try:
            # One byte more than is accepted tells a body that ends there from one that goes on.
            parts.append(member.decompress(rest, left + 1))
        except zlib.error as error:
            raise UndecodableBody(f"not {coding}: {error}", where=WHERE) from error
        left -= len(parts[-1])
        if left < 0:
            raise BodyTooLarge(f"more than {max_bytes} bytes when inflated", fix="send fewer or smaller rows")
        if not member.eof:
            raise UndecodableBody(f"{coding} that is cut off", where=WHERE)
        rest = member.unused_data
        if not rest:
            return b"".join(parts) if len(parts) > 1 else parts[0]
    raise UndecodableBody(f"more than {len(parts)} members of {coding}", where=WHERE, fix="compress the body at once")
