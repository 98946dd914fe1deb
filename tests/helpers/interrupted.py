"""The end of a server that a test started as a process."""

from __future__ import annotations

import signal
import subprocess
from typing import AnyStr

STOP_S = 90


def interrupt(process: subprocess.Popen[AnyStr]) -> tuple[AnyStr, AnyStr]:
    """End it as Ctrl-C does; return its output and errors, where they are pipes.

    One that stays is killed, with which its processes end, and fails the test.
    """
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
