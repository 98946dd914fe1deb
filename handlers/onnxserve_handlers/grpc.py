"""gRPC as a handler sees it: one message in a frame, and a status beside the answer.

Sources: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and
https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from urllib.parse import quote

from .errors import MalformedFrame, RequestError, UnimplementedCall
from .protobuf import Payload

MEDIA = "application/grpc"
READ = frozenset({MEDIA, f"{MEDIA}+proto"})
PREFIX = struct.Struct(">BI")  # whether the message is compressed, and its length
MESSAGE_BYTES = 700  # of an error's text: proxies bound headers, and a byte may take three
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

OK = 0
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
STATUS = {
    "bad_request": INVALID_ARGUMENT,
    "undecodable_body": INVALID_ARGUMENT,
    "unsupported_media_type": INVALID_ARGUMENT,
    "invalid_row": INVALID_ARGUMENT,
    "deadline_exceeded": DEADLINE_EXCEEDED,
    "too_large": RESOURCE_EXHAUSTED,
    "out_of_memory": RESOURCE_EXHAUSTED,
    "answer_too_large": RESOURCE_EXHAUSTED,
    "unimplemented": UNIMPLEMENTED,
    "malformed_frame": INTERNAL,
    "not_finite": INTERNAL,
    "internal_error": INTERNAL,
    "features_unavailable": UNAVAILABLE,
}

Headers = tuple[tuple[str, str], ...]


def message_of(body: bytes | bytearray) -> memoryview:
    """The one message of a call, not copied; UnimplementedCall or MalformedFrame as gRPC's own servers answer."""
    if len(body) < PREFIX.size:
        raise MalformedFrame(f"{len(body)} bytes are shorter than a frame's prefix")
    compressed, size = PREFIX.unpack_from(body)
    if compressed == 1:
        raise UnimplementedCall("the message is compressed", fix="send it without compression")
    if compressed or PREFIX.size + size > len(body):
        raise MalformedFrame(f"a frame of flag {compressed} and {size} bytes in a body of {len(body)}")
    if PREFIX.size + size < len(body):
        raise UnimplementedCall("more than one message", fix="send one message in a call")
    return memoryview(body)[PREFIX.size :]


def framed(message: Sequence[Payload]) -> bytes:
    """A message in its frame."""
    return b"".join([PREFIX.pack(0, sum(map(len, message))), *message])


def status_of(error: RequestError) -> int:
    """The status of an error; of one of a handler's own kinds, by whose fault it is."""
    return STATUS.get(error.kind, INVALID_ARGUMENT if error.status < 500 else INTERNAL)


def trailers(status: int, text: str = "") -> Headers:
    """Status and message, named so that a proxy in front can make gRPC's trailers of them.

    Text is cut where it is long, and percent-encoded as the protocol wants it.
    """
    if status == OK:
        return (("x-grpc-status", "0"),)
    short = text.encode()[:MESSAGE_BYTES].decode(errors="ignore")
    return (("x-grpc-status", str(status)), ("x-grpc-message", quote(short, safe=PRINTABLE)))
