"""Sessions of other tools whose threads rest while they wait: spinning ones take cores from other work, for nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import onnxruntime as ort


class RestingOptions(ort.SessionOptions):  # type: ignore[misc]  # onnxruntime ships no types
    """Options of a session that doesn't spin; all else is onnxruntime's default."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.add_session_config_entry("session.intra_op.allow_spinning", "0")


@contextlib.contextmanager
def resting_threads() -> Iterator[None]:
    """Let sessions that NNCF and onnxruntime's own tools open meanwhile have such options; they take no others."""
    options = ort.SessionOptions
    ort.SessionOptions = RestingOptions
    try:
        yield
    finally:
        ort.SessionOptions = options
