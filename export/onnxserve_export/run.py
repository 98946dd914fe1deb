"""Run candidate graphs in a process of their own, by `graph_process.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .arrays import Arrays
from .batches import Batches, ensure_on_disk
from .variants import CPU

GRAPH_PROCESS = Path(__file__).with_name("graph_process.py")
TIMEOUT_S = 1800


class GraphCrashed(RuntimeError):
    """The graph could not be loaded or run in time; the process that tried has ended."""


def run_graph(model: Path, batches: Batches | Iterable[Arrays], provider: str = CPU) -> list[Arrays]:
    """Return every output by name for each batch; GraphCrashed if the graph can't be loaded or run."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = ensure_on_disk(batches, Path(scratch)), Path(scratch) / "out.npz"
        return list(map(widen_half_floats, write_outputs(model, source, target, provider)))


def write_outputs(model: Path, batches: Batches, target: Path, provider: str = CPU) -> Batches:
    """Write every output for each batch to a file; GraphCrashed if the graph can't be loaded or run."""
    _run_process(str(model), str(batches.path), str(batches.start), str(batches.stop), str(target), provider)
    return Batches(target, 0, len(batches))


def write_optimised(model: Path, target: Path) -> None:
    """Write a graph as onnxruntime optimises it for this CPU; GraphCrashed if the graph can't be loaded."""
    _run_process(str(model), str(target))


def _run_process(*arguments: str) -> None:
    command = [sys.executable, str(GRAPH_PROCESS), *arguments]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise GraphCrashed(f"it runs for more than {TIMEOUT_S} s") from error
    if completed.returncode != 0:
        lines = completed.stderr.strip().splitlines()
        raise GraphCrashed(lines[-1] if lines else f"exit {completed.returncode}")


def widen_half_floats(outputs: Arrays) -> Arrays:
    """Return outputs with half floats as float32; other dtypes stay."""
    return {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in outputs.items()}
