"""Running a program to its end. It ends with this process too, whatever ends that: an error, Ctrl-C or SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .process_group import end_group
from .spawn import spawn


class Ended(NamedTuple):
    """How a program ended: its exit status, negative for a signal, and the lines that it wrote, without empty ones."""

    status: int
    lines: list[str]


def run_to_end(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None, errors_only: bool = False
) -> Ended:
    """Run a program in a folder and wait for its end; return what it wrote, or only its errors.

    ServerError if the program doesn't exist.
    """
    with tempfile.TemporaryFile() as written:
        # The file has no other name, so that a process that is killed leaves none.
        log, errors = Path(f"/dev/fd/{written.fileno()}"), subprocess.STDOUT
        if errors_only:
            log, errors = Path(os.devnull), written.fileno()
        process = spawn(command, folder=folder, log=log, errors=errors, environment=environment)
        try:
            status = process.wait()
        finally:
            end_group(process, signal.SIGKILL, 0)
        written.seek(0)
        lines = written.read().decode(errors="replace").splitlines()
    return Ended(status, [line for line in lines if line.strip()])
