"""bytes -> instances: the payload of a request, its content coding, and its JSON."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Callable, Container, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..errors import BodyTooLarge, UndecodableBody, UnsupportedMedia

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
FIELDS = ("body", "data")  # what TorchServe calls a plain body, and what its clients call a form's field
# Other names that clients give a type; `application/…+json` is JSON too (RFC 6839, section 3.1).
ALIASES = {
    **dict.fromkeys(("image/jpg", "image/pjpeg"), "image/jpeg"),
    "image/x-png": "image/png",
    **dict.fromkeys(("image/x-bmp", "image/x-ms-bmp"), "image/bmp"),
    **dict.fromkeys(("audio/wave", "audio/x-wav", "audio/vnd.wave"), "audio/wav"),
    "audio/x-flac": "audio/flac",
    "application/ogg": "audio/ogg",
    **dict.fromkeys(("audio/mp3", "audio/x-mp3", "audio/x-mpeg"), "audio/mpeg"),
    **dict.fromkeys(("text/json", "application/x-json"), JSON),
}
# The types of clients that didn't choose one: curl -T, Python's urllib.
UNDECLARED = {"", "application/octet-stream"}
BINARY = (bytes, bytearray)
BOM = b"\xef\xbb\xbf"  # RFC 8259, section 8.1: parsers may ignore it
# Keys that may stand in a document with instances; TensorFlow Serving's clients name a signature, here is only one.
DOCUMENT_KEYS = frozenset({"instances", "signature_name", "parameters"})
JSON_TYPES = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
    bytes: "raw bytes",
    bytearray: "raw bytes",
}
LARGE = 65_536  # bytes
# What decoding raises. An archive may meet a msgspec before 0.23, which leaves broken UTF-8 to Python's own error.
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")
DEPTH = 3  # of names before a row: {"data": {"image": {"b64": "…"}}}
PROTOCOL = "x-onnxserve-protocol"  # how the gateway names the form of a request, where its path decides that
HEADERS = ("content-type", "accept", "inference-header-content-length", "content-encoding", PROTOCOL)


class Body(NamedTuple):
    """One request's payload: `content`, or `decoded`, an object that a frontend has made of JSON.

    `json_length` is how many bytes of JSON stand before binary tensors, None where there are no such tensors.
    """

    content: bytes | bytearray | None
    decoded: Any
    media_type: str
    accept: str = ""
    json_length: int | None = None
    protocol: str = ""  # the form that the gateway's path stands for


def read_body(item: Mapping[str, Any], headers: Mapping[str, Any], max_bytes: int) -> Body:
    """Take the payload out of one element of TorchServe's `data`.

    `body` is a plain POST, `data` a gRPC input or a field of a multipart form, which may have another name if it is the
    only one. Header names have the case that the client used. Raises UnsupportedMedia, BodyTooLarge for more than
    `max_bytes`, or UndecodableBody.
    """
    kind_name, accept_name, length_name, encoding_name, protocol_name = _spellings(tuple(headers))
    media_type = _media(_text(headers, kind_name))
    if media_type == FORM:
        # The frontend has split the body at `=` and `&`; curl -d without -H sends this type.
        raise unsupported_media(FORM, (JSON,))
    if media_type == MULTIPART:
        field = _form_field(item)
        payload, media_type = item[field], _media(_text(headers.get(field), "content-type"))
    else:
        payload = item["body"] if "body" in item else item.get("data")
    if payload is not None and not isinstance(payload, BINARY):
        check_text(payload)
        if not isinstance(payload, str):
            return Body(None, payload, JSON, protocol=_text(headers, protocol_name))
        payload = payload.encode()
    payload = payload or b""
    if len(payload) > max_bytes:
        raise BodyTooLarge(
            f"the body has {len(payload)} bytes, at most {max_bytes} are accepted", fix="send fewer or smaller rows"
        )
    if encoding_name:
        payload = decode(payload, _text(headers, encoding_name), max_bytes)
    if not payload:
        raise UndecodableBody("the body is empty", fix='send one row, or {"instances": [...]} as JSON')
    length = _json_length(headers[length_name], len(payload)) if length_name else None
    return Body(payload, None, media_type, _media(_text(headers, accept_name)), length, _text(headers, protocol_name))


def _form_field(item: Mapping[str, Any]) -> str:
    """Return the name of the form's field that holds the rows; raises UndecodableBody if it can't be known."""
    names = [name for name in FIELDS if name in item] or sorted(item)
    if len(names) != 1:
        listed = ", ".join(names) or "no field"
        raise UndecodableBody(
            f"the form must hold one field with rows, got {listed}",
            fix="send them as the field `data`: curl -F data=@FILE",
        )
    return names[0]


def _text(headers: Any, name: str) -> str:
    """Return a header, "" without it; TorchServe puts a form's fields' types among the headers, by their names."""
    is_mapping = isinstance(headers, dict) or isinstance(headers, Mapping)  # noqa: SIM101 - the first takes a tenth
    value = headers.get(name, "") if is_mapping else ""
    return value if isinstance(value, str) else ""


def check_text(document: Any) -> None:
    """Raise UndecodableBody if a text of a frontend's document has half of a surrogate pair, which UTF-8 can't encode.

    Python's own decoder lets it through (RFC 8259, section 8.2), and a later stage or the response would fail on it.
    """
    try:
        msgspec.json.encode(document)
    except (UnicodeEncodeError, RecursionError) as error:
        raise UndecodableBody("not valid JSON: a text that isn't Unicode", fix="send both halves of a pair") from error


def media_type(headers: Mapping[str, Any]) -> str:
    """Return a request's content type without parameters, in lower case."""
    return _media(_text(headers, _spellings(tuple(headers))[0]))


@lru_cache(maxsize=256)
def _spellings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return how a client spells each of `HEADERS`, "" for one that it didn't send; few clients differ."""
    spelling = {name.lower(): name for name in names if len(name) < 40}
    return tuple(spelling.get(name, "") for name in HEADERS)


@lru_cache(maxsize=64)
def _media(value: str) -> str:
    """Return `text/plain` for `Text/Plain; charset=x`, `image/jpeg` for `image/jpg`."""
    name = value.partition(";")[0].strip().lower()
    if name.startswith("application/") and name.endswith("+json") and not name.startswith("application/grpc"):
        return JSON
    return ALIASES.get(name, name)


def strip_bom(content: Any) -> Any:
    """Return bytes of text without the byte order mark that some editors and shells put before it."""
    return content[len(BOM) :] if content[: len(BOM)] == BOM else content


def _json_length(value: Any, size: int) -> int:
    if not isinstance(value, str) or not value.isdecimal() or int(value) > size:
        raise UndecodableBody(
            f"{value!r} isn't a number of bytes up to the body's {size}",
            where="Inference-Header-Content-Length",
            fix="send the length of the JSON part",
        )
    return int(value)


def decode_json(content: bytes | bytearray) -> Any:
    """Decode strict JSON, without NaN, trailing bytes or unbounded depth; raises UndecodableBody."""
    try:
        return decode_uncollected(msgspec.json.decode, strip_bom(content))
    except MALFORMED as error:
        raise UndecodableBody(f"not valid JSON: {error}", fix="check the JSON and its Content-Type") from error


def decode_uncollected(decode: Callable[[Any], T], content: Any) -> T:
    """Return a decoded body; the garbage collector waits, since JSON has no cycles that it could find.

    It would go through a large body's lists again and again, and take most of the time.
    """
    if len(content) < LARGE or not gc.isenabled():
        return decode(content)
    gc.disable()
    try:
        return decode(content)
    finally:
        gc.enable()


def read_instances(document: Any, keys: Container[str], max_rows: int) -> list[Any]:
    """Return the rows of a JSON document, `{"instances": [...]}` or one row; a row may be `{key: row}`.

    Raises UndecodableBody, or BodyTooLarge for more than `max_rows`.
    """
    if isinstance(document, dict) and "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list) or not rows:
            fix = "send a list of rows, or one row without it"
            raise UndecodableBody('"instances" must be a non-empty list', where="instances", fix=fix)
        if unknown := sorted(set(document) - DOCUMENT_KEYS):
            fix = f"leave out all but {', '.join(sorted(DOCUMENT_KEYS))}"
            raise UndecodableBody(f'there are unknown keys beside "instances": {unknown}', fix=fix)
    else:
        rows = [document]
    if len(rows) > max_rows:
        reason = f"the request has {len(rows)} rows, at most {max_rows} are accepted"
        raise BodyTooLarge(reason, where="instances", fix="send several requests")
    return [unwrap(row, keys) for row in rows]


def json_type(value: Any) -> str:
    """Return a value's type in the words of JSON, for errors: clients needn't know Python's types."""
    return JSON_TYPES.get(type(value), type(value).__name__)


def unwrap(instance: Any, keys: Container[str]) -> Any:
    """Return a row without the names that may stand before it: `{"data": row}`, `{"image": {"b64": row}}`."""
    for _ in range(DEPTH):
        if not isinstance(instance, dict) or len(instance) != 1:
            break
        [(name, row)] = instance.items()
        if name not in keys:
            break
        instance = row
    return instance


def unsupported_media(media_type: str, accepted: Iterable[str]) -> UnsupportedMedia:
    """Return the error for a content type that this model doesn't read."""
    return UnsupportedMedia(
        f"content type {media_type!r} is not read by this model",
        where="Content-Type",
        fix="send " + " or ".join(accepted),
    )


IDENTITY = frozenset({"", "identity"})
GZIP = frozenset({"gzip", "x-gzip"})
DEFLATE = "deflate"
# zlib's `wbits`: which header is expected, and the largest window.
GZIP_BITS, ZLIB_BITS, RAW_BITS = 31, 15, -15
METHOD = 8  # deflate, in zlib's header (RFC 1950, section 2.2)
MEMBERS = 16  # of a gzip file; each costs a copy of the bytes after it
WHERE = "Content-Encoding"


def decode(content: bytes | bytearray, encoding: str, max_bytes: int) -> bytes | bytearray:
    """Undo a content coding (RFC 9110, section 8.4.1): gzip, deflate, or identity.

    Raises UnsupportedMedia, UndecodableBody, or BodyTooLarge where the result has more than `max_bytes`.
    """
    coding = encoding.strip().lower()
    if coding in IDENTITY:
        return content
    if coding in GZIP:
        return _inflate(content, coding, GZIP_BITS, max_bytes)
    if coding == DEFLATE:
        return _inflate(content, coding, ZLIB_BITS if has_zlib_header(content) else RAW_BITS, max_bytes)
    raise UnsupportedMedia(
        f"content coding {encoding!r} is not supported", where=WHERE, fix="send gzip or deflate, or the body as it is"
    )


def has_zlib_header(content: bytes | bytearray) -> bool:
    """Return whether zlib's header is there; some clients send `deflate` without it (RFC 9110, section 8.4.1.2)."""
    return len(content) > 1 and content[0] & 15 == METHOD and (content[0] << 8 | content[1]) % 31 == 0


def _inflate(content: bytes | bytearray, coding: str, bits: int, max_bytes: int) -> bytes:
    parts, left, rest = list[bytes](), max_bytes, content
    for _ in range(MEMBERS if bits == GZIP_BITS else 1):
        member = zlib.decompressobj(bits)
        try:
            # One byte above the limit shows whether the body ends at the limit or goes on.
            parts.append(member.decompress(rest, left + 1))
        except zlib.error as error:
            raise UndecodableBody(f"the body is not {coding}: {error}", where=WHERE, fix="check the header") from error
        left -= len(parts[-1])
        if left < 0:
            reason = f"the body has more than {max_bytes} bytes when inflated"
            raise BodyTooLarge(reason, fix="send fewer or smaller rows")
        if not member.eof:
            raise UndecodableBody(f"the {coding} data is cut off", where=WHERE, fix="send the whole body")
        rest = member.unused_data
        if not rest:
            return b"".join(parts) if len(parts) > 1 else parts[0]
    raise UndecodableBody(
        f"the body has more than {len(parts)} members of {coding}", where=WHERE, fix="compress the body at once"
    )
