"""Where an exception was raised, without what it says: a message may quote a client's values, which no log may hold.

The worker has a link to this file, which needs nothing but the standard library. On a machine where no client's values
are seen, ONNXSERVE_LOG_MESSAGES=1 brings the messages back.
"""

from __future__ import annotations

import os
import traceback

VARIABLE = "ONNXSERVE_LOG_MESSAGES"
WITHHELD = f"(its message is withheld: {VARIABLE})"


def shows_messages() -> bool:
    """Whether messages may be logged here."""
    return os.environ.get(VARIABLE) == "1"


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
