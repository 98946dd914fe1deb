"""Request errors, one per stage of the data flow: bytes -> row -> tensors -> outputs -> response.

Everything but `InternalError` is the caller's to fix, so its text is sent back.
`InternalError` never carries details: they go to the log, because an exception's
text can hold another caller's data.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence


class RequestError(Exception):
    """A row that can't be answered; `status` is HTTP's, `kind` is stable for programs."""

    status = 400
    kind = "bad_request"
    phrase = "Bad Request"

    def __init__(self, reason: str, *, where: str = "body", fix: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.fix = fix

    def body(self) -> dict[str, str]:
        """The `error` object of an answer."""
        fields = {"type": self.kind, "reason": self.reason, "where": self.where}
        return {**fields, "fix": self.fix} if self.fix else fields


class UndecodableBody(RequestError):
    """bytes -> row: the body isn't what its content type says."""

    kind = "undecodable_body"


class MalformedFrame(UndecodableBody):
    """bytes -> row: what should be one of gRPC's frames isn't."""

    kind = "malformed_frame"


class UnimplementedCall(RequestError):
    """bytes -> row: something of gRPC that isn't done here."""

    kind = "unimplemented"


class BodyTooLarge(RequestError):
    """bytes -> row: more bytes or rows than the signature allows."""

    status = 413
    kind = "too_large"
    phrase = "Payload Too Large"


class UnsupportedMedia(RequestError):
    """bytes -> row: a content type that this model doesn't read."""

    status = 415
    kind = "unsupported_media_type"
    phrase = "Unsupported Media Type"


class InvalidRow(RequestError):
    """row -> tensors: decodable, but outside the signature."""

    status = 422
    kind = "invalid_row"
    phrase = "Unprocessable Entity"


class DeadlineExceeded(RequestError):
    """Before any stage: nobody waits for the answer any more."""

    status = 504
    kind = "deadline_exceeded"
    phrase = "Gateway Timeout"


class OutOfMemory(RequestError):
    """tensors -> outputs: the row alone doesn't fit in memory."""

    status = 507
    kind = "out_of_memory"
    phrase = "Insufficient Storage"


class NotFinite(RequestError):
    """outputs -> response: the model gave an infinite number, or none, for this row."""

    status = 500
    kind = "not_finite"
    phrase = "Internal Server Error"


class AnswerTooLarge(RequestError):
    """outputs -> response: more bytes than the server sends in one answer."""

    status = 507
    kind = "answer_too_large"
    phrase = "Insufficient Storage"


class InternalError(RequestError):
    """Any stage: our fault; the caller learns only that."""

    status = 500
    kind = "internal_error"
    phrase = "Internal Server Error"

    def __init__(self) -> None:
        super().__init__("the model failed on this row", fix="retry; if it persists, tell the operator the request id")


def classify(error: BaseException) -> RequestError:
    """The answer for whatever a stage raised; the original is chained, never shown."""
    if isinstance(error, RequestError):
        return error
    # ONNX Runtime reports exhaustion as a plain RuntimeError, so only its text tells.
    text = str(error).lower()
    if isinstance(error, MemoryError) or "failed to allocate memory" in text or "out of memory" in text:
        return OutOfMemory("not enough memory for this row", fix="send fewer or smaller rows")
    return InternalError()


SHOWN = 10


def combined(faults: Sequence[RequestError]) -> RequestError | None:
    """One error for all faults of a request, of their kind where they have one; None for none."""
    if len(faults) < 2:
        return faults[0] if faults else None
    shown = "; ".join(f"{fault.where}: {fault.reason}" for fault in faults[:SHOWN])
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    kinds = {type(fault) for fault in faults}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRow
    error = kind.__new__(kind)  # the constructors of some kinds take no reason
    RequestError.__init__(error, shown + more, where=faults[0].where, fix=faults[0].fix)
    return error


LOG_MESSAGES = "ONNXSERVE_LOG_MESSAGES"
WITHHELD = f"(its message is withheld: {LOG_MESSAGES})"


def shows_messages() -> bool:
    """Whether messages may be logged here."""
    return os.environ.get(LOG_MESSAGES) == "1"


def withheld(text: str) -> str:
    """A text that may quote a client's values, or a mark in its place."""
    return text if shows_messages() else WITHHELD


def stack_of(error: BaseException) -> str:
    """The traceback of an exception and of what caused it: files, lines, functions, and types without messages."""
    if shows_messages():
        return "".join(traceback.format_exception(error)).rstrip("\n")
    parts: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = "".join(traceback.format_tb(cause.__traceback__))
        parts.append(f"{frames}{type(cause).__qualname__} {WITHHELD}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n\nwhile handling\n\n".join(parts)
