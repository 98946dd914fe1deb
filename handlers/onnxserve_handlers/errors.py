"""Request errors, one per stage of the data flow: bytes -> row -> tensors -> outputs -> response.

The client can fix every error but `InternalError`, so its text is sent back. `InternalError` never carries details:
they go to the log, because an exception's text can quote another client's data. `guard` and `isolate` keep a row's
error its own; only a failure of the GPU ends the process.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

MOST_CHARACTERS = 2000  # of a reason and of a place, which may quote a client's names


def shorten(text: str) -> str:
    """Return a text without its end if it is very long: an answer must not grow with what was wrong."""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."


class RequestError(Exception):
    """A request or a row that has no prediction; `status` is HTTP's, `kind` is a stable name for programs."""

    status = 400
    kind = "bad_request"
    phrase = "Bad Request"

    def __init__(self, reason: str, *, where: str = "body", fix: str = "") -> None:
        super().__init__(reason)
        self.reason = shorten(reason)
        self.where = shorten(where)
        self.fix = fix

    def body(self) -> dict[str, str]:
        """Return the `error` object of a response."""
        fields = {"type": self.kind, "reason": self.reason, "where": self.where}
        return {**fields, "fix": self.fix} if self.fix else fields


class UndecodableBody(RequestError):
    """bytes -> row: the body isn't what its content type promises."""

    kind = "undecodable_body"


class MalformedFrame(UndecodableBody):
    """bytes -> row: the body isn't a frame of gRPC."""

    kind = "malformed_frame"


class UnimplementedCall(RequestError):
    """bytes -> row: the call uses a part of gRPC that isn't supported here."""

    kind = "unimplemented"


class BodyTooLarge(RequestError):
    """bytes -> row: the body has more bytes or rows than the signature allows."""

    status = 413
    kind = "too_large"
    phrase = "Payload Too Large"


class UnsupportedMedia(RequestError):
    """bytes -> row: this model doesn't read the content type."""

    status = 415
    kind = "unsupported_media_type"
    phrase = "Unsupported Media Type"


class InvalidRow(RequestError):
    """row -> tensors: the row was decoded, but it is outside the signature."""

    status = 422
    kind = "invalid_row"
    phrase = "Unprocessable Entity"


class DeadlineExceeded(RequestError):
    """Before any stage: nobody waits for the response any more."""

    status = 504
    kind = "deadline_exceeded"
    phrase = "Gateway Timeout"


class OutOfMemory(RequestError):
    """tensors -> outputs: the row doesn't fit in memory, not even alone."""

    status = 507
    kind = "out_of_memory"
    phrase = "Insufficient Storage"


class NotFinite(RequestError):
    """outputs -> response: the model's output for this row is infinite or NaN."""

    status = 500
    kind = "not_finite"
    phrase = "Internal Server Error"


class ResponseTooLarge(RequestError):
    """outputs -> response: the response has more bytes than the server sends at once."""

    status = 507
    kind = "answer_too_large"
    phrase = "Insufficient Storage"


class InternalError(RequestError):
    """Any stage: the fault is ours, and the client learns no more than that."""

    status = 500
    kind = "internal_error"
    phrase = "Internal Server Error"

    def __init__(self) -> None:
        super().__init__("the model failed on this row", fix="retry; if it persists, tell the operator the request id")


def detach(error: RequestError) -> RequestError:
    """Return an error without its traceback and causes, whose frames would keep a decoded body in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def classify(error: BaseException) -> RequestError:
    """Return the error that a client gets for whatever a stage raised."""
    if isinstance(error, RequestError):
        return detach(error)
    # ONNX Runtime reports exhaustion as a plain RuntimeError, so only its text identifies it.
    text = str(error).lower()
    if isinstance(error, MemoryError) or "failed to allocate memory" in text or "out of memory" in text:
        return OutOfMemory("not enough memory for this row", fix="send fewer or smaller rows")
    return InternalError()


SHOWN = 10  # errors that a combined one lists


def combine(errors: Sequence[RequestError]) -> RequestError | None:
    """Return one error for all errors of a request, None for none; its kind is theirs if they share one."""
    if len(errors) < 2:
        return errors[0] if errors else None
    shown = "; ".join(f"{error.where}: {error.reason}" for error in errors[:SHOWN])
    more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRow
    return error_of_kind(kind, shown + more, errors[0].where, errors[0].fix)


def error_of_kind(kind: type[RequestError], reason: str, where: str, fix: str) -> RequestError:
    """Return an error of a kind whose constructor may take no reason."""
    error = kind.__new__(kind)
    RequestError.__init__(error, reason, where=where, fix=fix)
    return error


LOG_MESSAGES = "ONNXSERVE_LOG_MESSAGES"
WITHHELD = f"(its message is withheld: {LOG_MESSAGES})"


def shows_messages() -> bool:
    """Return whether this process may log texts that can quote a client's values."""
    return os.environ.get(LOG_MESSAGES) == "1"


def withhold(text: str) -> str:
    """Return a text that may quote a client's values, or a mark in its place where such texts may not be logged."""
    return text if shows_messages() else WITHHELD


def stack_of(error: BaseException) -> str:
    """Return the traceback of an exception and its causes: files, lines, functions, and types without messages."""
    if shows_messages():
        return "".join(traceback.format_exception(error)).rstrip("\n")
    parts: list[str] = []
    visited: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in visited:
        visited.add(id(cause))
        frames = "".join(traceback.format_tb(cause.__traceback__))
        parts.append(f"{frames}{type(cause).__qualname__} {WITHHELD}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n\nwhile handling\n\n".join(parts)


log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


def guard(work: Callable[[], R]) -> R | RequestError:
    """Return the result of `work`, or the error that the client may see for whatever it raised."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it is logged
        shown = classify(error)
        if isinstance(shown, InternalError):
            log.error("a row failed\n%s", stack_of(error))  # noqa: TRY400 - without the message
            if is_gpu_failure(error):
                exit_soon(error)
        return shown


def isolate(groups: Sequence[T], run: Callable[[Sequence[T]], Sequence[R]]) -> list[R | RequestError]:
    """Run all groups together, and halve a batch that fails until only the culprits fail.

    `run` gives one result a group. k culprits among n groups cost about k * log2(n) further runs; without a culprit
    there is only one run.
    """
    if not groups:
        return []
    if len(groups) == 1:
        return [guard(lambda: run(groups)[0])]
    try:
        results = list(run(groups))
        if len(results) != len(groups):
            raise ValueError(f"{len(results)} results for {len(groups)} requests")
        return list(results)
    except Exception as error:  # noqa: BLE001 - it is logged
        log.debug("batch of %d failed; halving\n%s", len(groups), stack_of(error))
    half = len(groups) // 2
    return isolate(groups[:half], run) + isolate(groups[half:], run)


# After these a process can't use its GPU: https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html.
STICKY = re.compile(r"CUDA (?:failure|error) (?:7(?:00|02|1[014-9]|20)|2(?:14|20)|999)\b")
RESPOND_S = 0.5  # time for the responses of the current batch
EXIT_STATUS = 1


def is_gpu_failure(error: BaseException) -> bool:
    """Return whether the process can't use its GPU any more after this error."""
    return bool(STICKY.search(str(error)))


def exit_soon(error: BaseException) -> None:
    """End the process once the batch is answered; TorchServe then starts another worker."""
    log.critical("this process can't use its GPU any more and ends: %s", error)
    timer = threading.Timer(RESPOND_S, os._exit, (EXIT_STATUS,))
    timer.daemon = True
    timer.start()
