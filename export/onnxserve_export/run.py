"""Run candidate graphs in a process of their own, by `graph_process.py`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from onnxserve.processes import Child, end_group, spawn
from onnxserve.scratch import Scratch

from .arrays import Arrays
from .batches import Batches, ensure_on_disk
from .variants import CPU

GRAPH_PROCESS = Path(__file__).with_name("graph_process.py")
TIMEOUT_S = 1800


class GraphCrashed(RuntimeError):
    """The graph could not be loaded or run in time; the process that tried has ended."""


class GraphProcess:
    """A process that runs a graph from now on; it ends with this object, and with this process even by SIGKILL."""

    def __init__(self, *arguments: str) -> None:
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        command = [sys.executable, str(GRAPH_PROCESS), *arguments]
        self._log = log
        self._process = spawn(command, folder=Path.cwd(), log=Path(os.devnull), errors=log.fileno())
        self.end = weakref.finalize(self, _end, self._process, log)

    def wait(self) -> None:
        """Wait until the graph has run; GraphCrashed if it can't be loaded or run in time."""
        try:
            code = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise GraphCrashed(f"it runs for more than {TIMEOUT_S} s") from error
        finally:
            end_group(self._process, signal.SIGKILL, 0)
        if code != 0:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            raise GraphCrashed(lines[-1] if lines else f"exit {code}")


def _end(process: Child, log: IO[bytes]) -> None:
    end_group(process, signal.SIGKILL, 0)
    log.close()


def run_graph(model: Path, batches: Batches | Iterable[Arrays], provider: str = CPU) -> list[Arrays]:
    """Return every output by name for each batch; GraphCrashed if the graph can't be loaded or run."""
    with Scratch() as scratch:
        source, target = ensure_on_disk(batches, scratch), scratch / "out.npz"
        start_outputs(model, source, target, provider).wait()
        return list(map(widen_half_floats, Batches(target, 0, len(source))))


def start_outputs(model: Path, batches: Batches, target: Path, provider: str = CPU) -> GraphProcess:
    """Start a process that writes every output for each batch to a file."""
    return GraphProcess(str(model), str(batches.path), str(batches.start), str(batches.stop), str(target), provider)


def write_optimised(model: Path, target: Path) -> None:
    """Write a graph as onnxruntime optimises it for this CPU; GraphCrashed if the graph can't be loaded."""
    GraphProcess(str(model), str(target)).wait()


def widen_half_floats(outputs: Arrays) -> Arrays:
    """Return outputs with half floats as float32; other dtypes stay."""
    return {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in outputs.items()}
