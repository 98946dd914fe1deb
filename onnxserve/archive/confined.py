"""The command by which a check runs an archive's code: with the rights that a worker has, since it is the same code."""

from __future__ import annotations

import os
import subprocess
import sys

from onnxserve.errors import OnnxserveError
from onnxserve.paths import resource

VARIABLE = "ONNXSERVE_CONFINE"
WORKER = "torchserve/worker/ts"  # its modules are imported by their path, as a worker is started by it
LAUNCH = "import sys; sys.path.insert(0, sys.argv[1]); from fastworker.confine import run; run(sys.argv[2:])"


def python_command(*words: str) -> list[str]:
    """Return the command that runs this Python with some arguments, without the rights that the variable names."""
    if not os.environ.get(VARIABLE, "").strip():
        return [sys.executable, *words]
    return [sys.executable, "-P", "-c", LAUNCH, str(resource(WORKER)), *words]


def check_confined() -> None:
    """Raise OnnxserveError if a process can't give up the rights that the variable names, with the reason."""
    completed = subprocess.run(python_command("-c", ""), capture_output=True, text=True, check=False)
    if completed.returncode:
        lines = completed.stderr.strip().splitlines()
        raise OnnxserveError(
            f"no process can be started: {lines[-1] if lines else f'exit code {completed.returncode}'}",
            where=VARIABLE,
            fix="write it as docs/reference/configuration.md has it",
        )
