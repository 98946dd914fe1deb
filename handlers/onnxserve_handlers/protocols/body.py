"""bytes -> row: from what TorchServe hands over to a list of undecided instances."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ..errors import BodyTooLarge, UndecodableBody, UnsupportedMedia

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
# What some clients call a type that has another name; `application/…+json` is JSON too (RFC 6839, section 3.1).
ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-bmp": "image/bmp",
    "image/x-ms-bmp": "image/bmp",
    "text/json": JSON,
    "application/x-json": JSON,
}
# What clients send when they didn't choose: curl -T, Python's urllib.
UNDECLARED = {"", "application/octet-stream"}


BINARY = (bytes, bytearray)
BOM = b"\xef\xbb\xbf"  # RFC 8259, section 8.1: parsers may ignore it
BESIDE = frozenset(
    {"instances", "signature_name"}
)  # TensorFlow Serving's clients name a signature; a model here has one
JSON_TYPES = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
DEPTH = 3  # of names before a row: {"data": {"image": {"b64": "…"}}}
READ = ("content-type", "accept", "inference-header-content-length", "content-encoding")


class Body(NamedTuple):
    """One request's payload: its bytes, or the object a JSON-decoding frontend left us.

    `json_length` is the number of bytes of JSON before binary tensors, None without any.
    """

    content: bytes | bytearray | None
    decoded: Any
    media_type: str
    accept: str = ""
    json_length: int | None = None


def read_body(item: Mapping[str, Any], headers: Mapping[str, Any], max_bytes: int) -> Body:
    """Take the payload out of one element of TorchServe's `data`.

    `body` is a plain POST, `data` a multipart field or a gRPC input. Header names
    arrive in whatever case the client used.
    """
    kind_name, accept_name, length_name, encoding_name = _spellings(tuple(headers))
    media_type = _media(headers.get(kind_name, ""))
    if media_type == FORM:
        # The frontend has taken the body apart at `=` and `&`; what curl -d sends without -H ends here.
        raise wrong_media(FORM, (JSON,))
    payload = item["body"] if "body" in item else item.get("data")
    if payload is not None and not isinstance(payload, BINARY):
        check_text(payload)
        if not isinstance(payload, str):
            return Body(None, payload, JSON)
        payload = payload.encode()
    payload = payload or b""
    if len(payload) > max_bytes:
        raise BodyTooLarge(f"{len(payload)} bytes, at most {max_bytes} are accepted", fix="send fewer or smaller rows")
    if encoding_name:
        payload = decode(payload, str(headers[encoding_name]), max_bytes)
    if not payload:
        raise UndecodableBody("the body is empty", fix='send one row, or {"instances": [...]} as JSON')
    length = _json_length(headers[length_name], len(payload)) if length_name else None
    return Body(payload, None, media_type, _media(headers[accept_name]) if accept_name else "", length)


def check_text(document: Any) -> None:
    """UndecodableBody where a text of a frontend's document has half of a surrogate pair, which no UTF-8 can hold.

    Python's own decoder lets it through (RFC 8259, section 8.2); what follows would fail with it, or with the answer.
    """
    try:
        msgspec.json.encode(document)
    except (UnicodeEncodeError, RecursionError) as error:
        raise UndecodableBody("not valid JSON: a text that isn't Unicode", fix="send both halves of a pair") from error


def media_type(headers: Mapping[str, Any]) -> str:
    """A request's content type, without parameters."""
    return _media(headers.get(_spellings(tuple(headers))[0], ""))


@lru_cache(maxsize=256)
def _spellings(names: tuple[str, ...]) -> tuple[str, ...]:
    """How a client spells the headers that are read here, "" without one; few clients differ, so this is kept."""
    found = {name.lower(): name for name in names if len(name) < 40}
    return tuple(found.get(name, "") for name in READ)


@lru_cache(maxsize=64)
def _media(value: Any) -> str:
    """`Text/Plain; charset=x` is `text/plain`, `image/jpg` is `image/jpeg`."""
    name = value.partition(";")[0].strip().lower() if isinstance(value, str) else ""
    if name.startswith("application/") and name.endswith("+json") and not name.startswith("application/grpc"):
        return JSON
    return ALIASES.get(name, name)


def without_bom(content: Any) -> Any:
    """Bytes of text without the mark that some editors and shells put before them."""
    return content[len(BOM) :] if content[: len(BOM)] == BOM else content


def _json_length(value: Any, size: int) -> int:
    if not isinstance(value, str) or not value.isdecimal() or int(value) > size:
        raise UndecodableBody(f"{value!r} of {size} bytes", where="Inference-Header-Content-Length")
    return int(value)


def decode_json(content: bytes | bytearray) -> Any:
    """Strict JSON: no NaN, no trailing bytes, bounded depth."""
    try:
        return msgspec.json.decode(without_bom(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UndecodableBody(f"not valid JSON: {error}", fix="check the JSON and its Content-Type") from error


def instances(document: Any, keys: Container[str], max_rows: int) -> list[Any]:
    """The rows of a JSON document: `{"instances": [...]}` or one row; any of them may be `{key: row}`."""
    if isinstance(document, dict) and "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list) or not rows:
            raise UndecodableBody('"instances" must be a non-empty list', where="instances")
        if unknown := sorted(set(document) - BESIDE):
            raise UndecodableBody(f'unknown keys beside "instances": {unknown}', where="body")
    else:
        rows = [document]
    if len(rows) > max_rows:
        raise BodyTooLarge(f"{len(rows)} rows, at most {max_rows} are accepted in one request", where="instances")
    return [unwrapped(row, keys) for row in rows]


def json_type(value: Any) -> str:
    """What a value is in the words of JSON, for errors: clients need not know Python's types."""
    return JSON_TYPES.get(type(value), type(value).__name__)


def unwrapped(instance: Any, keys: Container[str]) -> Any:
    """A row without the names that may stand before it: `{"data": row}`, `{"image": {"b64": row}}`."""
    for _ in range(DEPTH):
        if not isinstance(instance, dict) or len(instance) != 1:
            break
        [(name, row)] = instance.items()
        if name not in keys:
            break
        instance = row
    return instance


def wrong_media(media_type: str, accepted: Iterable[str]) -> UnsupportedMedia:
    """The error for a content type that isn't read here."""
    return UnsupportedMedia(
        f"content type {media_type!r} is not read by this model",
        where="Content-Type",
        fix="send " + " or ".join(accepted),
    )


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


DATA_URL = re.compile(r"\s*data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)
SPELLINGS = str.maketrans({"-": "+", "_": "/", **dict.fromkeys(" \t\r\n\f\v")})  # None removes


def from_base64(text: str, where: str) -> bytes:
    """The bytes; UndecodableBody for anything else than base64, whose padding, lines and alphabet don't matter."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return _lenient(text, where)


def _lenient(text: str, where: str) -> bytes:
    url = DATA_URL.match(text)
    plain = text[url.end() if url else 0 :].translate(SPELLINGS).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableBody("not valid base64", where=where, fix="encode the file with base64") from error
