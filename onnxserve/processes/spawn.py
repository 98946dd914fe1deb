"""Starting a process in a session of its own; the kernel ends it when this process ends."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from onnxserve.errors import ServerError

from .process_group import LIVING
from .stale_processes import write_record

LAUNCHER = Path(__file__).with_name("launcher.py")
Child = subprocess.Popen[bytes]


def bound(command: Sequence[str], death: signal.Signals) -> list[str]:
    """Return the command that runs `command` with default signals; it gets `death` when this thread ends."""
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(death)), *command]


def spawn(  # noqa: PLR0913 - all but one are optional
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    errors: int = subprocess.STDOUT,
    environment: Mapping[str, str] | None = None,
    death: signal.Signals = signal.SIGKILL,
    record: Path | None = None,
    descriptors: Sequence[int] = (),
) -> Child:
    """Start `command` in `folder` as the leader of a process group, and append its output to `log`.

    Its errors go to the descriptor `errors`, by default to `log`. The kernel sends it the signal `death` when this
    process ends, even by SIGKILL. By the file `record` in the run folder the next start finds a group that is still
    there. The child inherits the open files `descriptors`. ServerError if the program doesn't exist.
    """
    if shutil.which(command[0]) is None:
        raise ServerError("there is no such program", where=command[0])
    launch = bound(command, death)

    def start() -> Child:
        with _open_log(log) as output:
            child = subprocess.Popen(
                launch,
                cwd=folder,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                pass_fds=descriptors,
            )
        LIVING.add(child)
        if record is not None:
            write_record(record, child.pid)
        return child

    return _starter.call(start)


def _open_log(log: Path) -> IO[bytes]:
    """Open the log for appending, so that it can be truncated meanwhile; if that fails, discard the output."""
    try:
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


class _Starter:
    """The one thread that starts all children, since Linux ties a parent-death signal to the thread that forked."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Child], Future[Child]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self, job: Callable[[], Child]) -> Child:
        """Run `job` in that thread and return its result."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="starter", daemon=True)
                self._thread.start()
        future: Future[Child] = Future()
        self._jobs.put((job, future))
        return future.result()

    def _run(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                future.set_exception(error)


_starter = _Starter()
