"""What the frontend is sent, one message a batch; the bytes are those of `create_predict_response`."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import struct
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .context import Context, RequestProcessor

_pack = struct.Struct("!i").pack
END = _pack(-1)
STREAM_NEXT = "ts_stream_next"
# The frontend closes the connection at a longer answer, and the whole batch fails; by default its `max_response_size`.
LARGEST = int(os.environ.get("ONNXSERVE_MAX_RESPONSE_BYTES") or 6_553_500)
ERROR = "x-onnxserve-error"  # names an error, which is an answer then: a proxy asks nobody else
WORDS = "x-onnxserve-body"  # its body in base64: a proxy that replaces bodies of errors reads no others
MOST_WORDS = 8192  # bytes: proxies bound headers
FAILED = 500
log = logging.getLogger(__name__)


class Unserialisable(TypeError):
    """A handler gave something that can't be sent."""


def _field(content: bytes | bytearray) -> bytes:
    return _pack(len(content)) + content


def _line(text: object) -> str:
    """Text that HTTP can carry in a header or a status line, or the frontend drops the connection."""
    return " ".join(str(text).encode("ascii", "replace").decode().splitlines())


def loaded(code: int, message: str) -> bytes:
    """The answer to `L`."""
    return _pack(code) + _field(message.encode()) + END


def refused(ids: Sequence[str], code: int, message: str) -> bytes:
    """The same error for the whole batch."""
    rest = _pack(0) + _pack(code) + _pack(0) + _pack(0) + _field(b"error")
    items = b"".join(_field(id_.encode()) + rest for id_ in ids)
    return _pack(code) + _field(message.encode()) + items + END


def answered(ids: Sequence[str], values: Sequence[Any], context: Context) -> bytes:
    """An answer for each request, with its own status and headers; Unserialisable when a value can't be sent."""
    _mark_streams(values, context)
    parts: list[bytes | bytearray] = [_pack(200), _field(b"Prediction success")]
    for id_, value, processor in zip(ids, values, context.request_processor, strict=True):
        body, name = value if type(value) is bytes else body_of(value), id_.encode()
        if len(body) > LARGEST:
            body = too_large(len(body), processor)
        if int(processor.status_code or 0) >= FAILED:
            repeat(body, processor)
        parts += (_pack(len(name)), name, _head(processor), _pack(len(body)), body)
    parts.append(END)
    return b"".join(parts)


def too_large(size: int, processor: RequestProcessor) -> bytes:
    """The answer in place of one that the frontend wouldn't take, in the form of our handlers' errors."""
    reason = f"the answer has {size} bytes, at most {LARGEST} can be sent"
    error = {"type": "answer_too_large", "reason": reason, "where": "body", "fix": "send fewer rows in a request"}
    log.warning("%s", reason)
    processor.report_status(507, "Insufficient Storage")
    processor.add_response_property("content-type", "application/json")
    processor.add_response_property(ERROR, "answer_too_large")
    return json.dumps({"error": error}).encode()


def repeat(body: bytes | bytearray, processor: RequestProcessor) -> None:
    """The words of an error that has a name, beside it in a header; those of a call are in its trailers."""
    if processor.get_response_header(ERROR) and 0 < len(body) <= MOST_WORDS:
        processor.add_response_property(WORDS, base64.b64encode(body).decode())


def _mark_streams(values: Sequence[Any], context: Context) -> None:
    """The last message of a stream, or with stopping criteria the one that they end, says so in a header."""
    criteria = context.stopping_criteria
    for index, processor in enumerate(context.request_processor):
        if criteria:
            stop = criteria[index](values[index])
            if stop is not None:
                processor.add_response_property(STREAM_NEXT, "false" if stop else "true")
        elif STREAM_NEXT in processor.response_header and processor.response_header[STREAM_NEXT] == "true":
            processor.response_header[STREAM_NEXT] = "false"


def _head(processor: RequestProcessor) -> bytes:
    return _encoded_head(processor.status_code, processor.reason_phrase, tuple(processor.response_header.items()))


@lru_cache(maxsize=256)
def _encoded_head(status: int | None, phrase: str | None, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Content type, status, phrase and headers. Few differ, so they are kept."""
    content_type = next((value for name, value in headers if name == "content-type"), "")
    parts = [_field(_line(content_type).encode()), _pack(200 if status is None else int(status))]
    parts += [_field(_line(phrase or "").encode()), _pack(len(headers))]
    parts += [_field(_line(text).encode()) for header in headers for text in header]
    return b"".join(parts)


def body_of(value: Any) -> bytes | bytearray:
    """Bytes as they are, text as UTF-8, a torch tensor as torch saves it, anything else as JSON."""
    if isinstance(value, bytes | bytearray):
        return value
    if isinstance(value, str):
        return value.encode()
    torch = sys.modules.get("torch")  # imported by a handler, never by us
    if torch is not None and isinstance(value, torch.Tensor):
        stream = io.BytesIO()
        torch.save(value, stream)
        return stream.getvalue()
    try:
        return json.dumps(value, indent=2).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unserialisable(str(error)) from error
