"""Stop signals (SIGTERM, SIGINT, SIGHUP): the first one asks to stop, the second one kills all processes."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any, Self

from onnxserve.processes import end_all

KINDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignals:
    """Counts stop signals within the block; usable in the main thread only."""

    def __init__(self) -> None:
        self.count = 0
        # A pipe, because a threading.Event that is set in a handler may deadlock with a wait that it interrupts.
        self._reader, self._writer = os.pipe()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for kind in KINDS:
            if kind is not signal.SIGHUP or signal.getsignal(kind) is not signal.SIG_IGN:  # nohup asks to ignore it
                self._before[kind] = signal.signal(kind, self._count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    @property
    def is_stopping(self) -> bool:
        """Whether a signal has come."""
        return self.count > 0

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for a signal; return whether one has come."""
        select.select([self._reader], [], [], seconds)
        return self.is_stopping

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            os.write(self._writer, b"x")  # it stays in the pipe, so later waits return at once
        else:
            end_all()  # the processes that `stop` waits for
