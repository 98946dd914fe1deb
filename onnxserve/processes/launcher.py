"""What a child runs before its program: signals as a fresh process has them, and an end when its parent ends.

Run by path, `python -I -S launcher.py PARENT SIGNAL PROGRAM ARGUMENT...`; standard library only. It takes 20 ms and is
replaced by the program, which keeps the process id. A `preexec_fn` would do the same in a forked copy of a process with
threads, where only async-signal-safe calls are allowed (signal-safety(7)).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def restore_signals() -> None:
    """Undo what was inherited: a shell's background jobs ignore SIGINT, Python ignores SIGPIPE."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def end_with_parent(parent: int, number: int) -> None:
    """Get `number` when the thread that started us ends (prctl(2)); exit at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has ended")


def main(arguments: list[str]) -> None:
    """Become the program."""
    parent, number, *command = arguments
    restore_signals()
    end_with_parent(int(parent), int(number))
    os.execvp(command[0], command)  # noqa: S606 - a list of arguments, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
