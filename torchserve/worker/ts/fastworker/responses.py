"""Messages to the frontend, one for each batch; their bytes are those of TorchServe's `create_predict_response`.

Source: TorchServe 0.12, `ts/protocol/otf_message_handler.py`.
"""

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
# The frontend closes the connection at a longer response, and the whole batch fails. Its default is that of
# `max_response_size`; a test compares it with the handlers' own.
MAX_RESPONSE_BYTES = int(os.environ.get("ONNXSERVE_MAX_RESPONSE_BYTES") or 6_553_500)
ERROR = "x-onnxserve-error"  # names an error, so that a proxy sends it on instead of trying another server
ERROR_BODY = "x-onnxserve-body"  # the error's body in base64, for a proxy that replaces the bodies of errors
MOST_ERROR_BYTES = 8192  # of that body: proxies bound headers
SERVER_ERROR = 500
log = logging.getLogger(__name__)


class Unserialisable(TypeError):
    """A handler returned a value that can't be sent."""


def _field(content: bytes | bytearray) -> bytes:
    return _pack(len(content)) + content


def _header_text(text: object) -> str:
    """Return text that HTTP allows in a header or status line; the frontend drops the connection at any other."""
    return " ".join(str(text).encode("ascii", "replace").decode().splitlines())


def encode_loaded(code: int, message: str) -> bytes:
    """Encode the response to a message `L`."""
    return _pack(code) + _field(message.encode()) + END


def encode_error(ids: Sequence[str], code: int, message: str) -> bytes:
    """Encode the same error for all requests of a batch."""
    rest = _pack(0) + _pack(code) + _pack(0) + _pack(0) + _field(b"error")
    items = b"".join(_field(id_.encode()) + rest for id_ in ids)
    return _pack(code) + _field(message.encode()) + items + END


def encode_responses(ids: Sequence[str], values: Sequence[Any], context: Context) -> bytes:
    """Encode a response for each request, with its own status and headers; raises Unserialisable."""
    _mark_streams(values, context)
    parts: list[bytes | bytearray] = [_pack(200), _field(b"Prediction success")]
    for id_, value, processor in zip(ids, values, context.request_processor, strict=True):
        body, name = value if type(value) is bytes else body_of(value), id_.encode()
        if len(body) > MAX_RESPONSE_BYTES:
            body = replace_large(len(body), processor)
        if int(processor.status_code or 0) >= SERVER_ERROR:
            copy_error_body(body, processor)
        parts += (_pack(len(name)), name, _head(processor), _pack(len(body)), body)
    parts.append(END)
    return b"".join(parts)


def replace_large(size: int, processor: RequestProcessor) -> bytes:
    """Return the error that replaces a response of `size` bytes, in the form of our handlers' errors."""
    reason = f"the answer has {size} bytes, at most {MAX_RESPONSE_BYTES} can be sent"
    error = {"type": "answer_too_large", "reason": reason, "where": "body", "fix": "send fewer rows in a request"}
    log.warning("%s", reason)
    processor.report_status(507, "Insufficient Storage")
    processor.add_response_property("content-type", "application/json")
    processor.add_response_property(ERROR, "answer_too_large")
    return json.dumps({"error": error}).encode()


def copy_error_body(body: bytes | bytearray, processor: RequestProcessor) -> None:
    """Copy the body of a named error to a header; an error of gRPC has none, since its text is in its trailers."""
    if processor.get_response_header(ERROR) and 0 < len(body) <= MOST_ERROR_BYTES:
        processor.add_response_property(ERROR_BODY, base64.b64encode(body).decode())


def _mark_streams(values: Sequence[Any], context: Context) -> None:
    """Mark the last message of each stream in a header; with stopping criteria, they decide which one is the last."""
    criteria = context.stopping_criteria
    for index, processor in enumerate(context.request_processor):
        if criteria:
            stop = criteria[index](values[index])
            if stop is not None:
                processor.add_response_property(STREAM_NEXT, "false" if stop else "true")
        elif STREAM_NEXT in processor.response_header and processor.response_header[STREAM_NEXT] == "true":
            processor.response_header[STREAM_NEXT] = "false"


def _head(processor: RequestProcessor) -> bytes:
    return _encode_head(processor.status_code, processor.reason_phrase, tuple(processor.response_header.items()))


@lru_cache(maxsize=256)
def _encode_head(status: int | None, phrase: str | None, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Encode content type, status, phrase and headers; few of them differ, so the results are cached."""
    content_type = next((value for name, value in headers if name == "content-type"), "")
    parts = [_field(_header_text(content_type).encode()), _pack(200 if status is None else int(status))]
    parts += [_field(_header_text(phrase or "").encode()), _pack(len(headers))]
    parts += [_field(_header_text(text).encode()) for header in headers for text in header]
    return b"".join(parts)


def body_of(value: Any) -> bytes | bytearray:
    """Return bytes as they are, text as UTF-8, a torch tensor as torch saves it, anything else as JSON.

    Raises Unserialisable.
    """
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
