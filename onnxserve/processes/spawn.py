"""Starting a process in a session of its own that ends when we end, however we end."""

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
    """Start `command` in `folder`; it leads a process group, and its output is appended to `log`.

    So are its errors, unless `errors` is another descriptor. The kernel sends it `death` when this process ends, even
    by SIGKILL. `record` is a file in the run folder by which the next start finds the group again, should it linger all
    the same. `descriptors` are open files that it inherits.
    """
    if shutil.which(command[0]) is None:
        raise ServerError("there is no such program", where=command[0])
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(death)), *command]

    def start() -> Child:
        with _opened(log) as output:
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


def _opened(log: Path) -> IO[bytes]:
    """The log for appending, so that it can be cut while it is written; a full disk costs the log."""
    try:
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


class _Starter:
    """The thread that starts all children: Linux ties a parent-death signal to the thread that forked."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Child], Future[Child]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self, job: Callable[[], Child]) -> Child:
        """Run `job` in that thread."""
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
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                future.set_exception(error)


_starter = _Starter()
