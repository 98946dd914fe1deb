"""A call in a thread of its own, for which nobody has to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_thread(call: Callable[[], T], name: str) -> Future[T]:
    """Begin a call in a thread of its own, for which neither the caller nor the program's end waits."""
    result = Future[T]()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001 - who waits for the result gets it
            result.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return result
