"""Runs in a child before its program: resets signals, and makes the child end with its parent.

Run by path as `python -I -S launcher.py PARENT SIGNAL PROGRAM ARGUMENT...`, with the standard library only. It takes
20 ms, then the program replaces it under the same process id. A `preexec_fn` would do the same in a forked copy of a
process with threads, where only async-signal-safe calls are allowed (signal-safety(7)).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def restore_signals() -> None:
    """Restore default signal handling: a shell's background jobs ignore SIGINT, and Python ignores SIGPIPE."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def end_with_parent(parent: int, number: int) -> None:
    """Ask for signal `number` when the parent's thread ends (prctl(2)); exit at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has ended")


def main(arguments: list[str]) -> None:
    """Replace this process by the program."""
    parent, number, *command = arguments
    restore_signals()
    end_with_parent(int(parent), int(number))
    os.execvp(command[0], command)  # noqa: S606 - a list of arguments, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
