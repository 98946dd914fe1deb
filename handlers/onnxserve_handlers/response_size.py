"""Answers that a server can't send: known and refused before they are written, so that they cost nobody else theirs.

TorchServe closes the connection to a worker that sends it more than `max_response_size` bytes in an answer, and all
requests of the batch fail (`CodecUtils.readLength`).
"""

from __future__ import annotations

import os
from typing import Any

from .errors import AnswerTooLarge, RequestError
from .forms import Answer

VARIABLE = "ONNXSERVE_MAX_RESPONSE_BYTES"  # set by `onnxserve serve`
TORCHSERVES = 6_553_500  # bytes, by default
REST = 1024  # bytes of an answer beside its rows, at most


def response_limit(context: Any) -> int:
    """Bytes of the largest answer: as the context says, else the environment, else as TorchServe has it by default."""
    limit = getattr(context, "max_response_bytes", None) or os.environ.get(VARIABLE) or TORCHSERVES
    return int(limit)


def within(answer: Answer | RequestError, rows: int, limit: int) -> Answer | RequestError:
    """The answer to a request of so many rows, or the error in its place if it is longer than `limit` bytes."""
    if isinstance(answer, RequestError) or len(answer.body) <= limit:
        return answer
    size, fitting = len(answer.body), rows * max(0, limit - REST) // len(answer.body)
    fix = f"send at most {fitting} such rows in a request" if fitting else "ask for fewer outputs"
    return AnswerTooLarge(f"the answer to {rows} rows has {size} bytes, at most {limit} can be sent", fix=fix)
