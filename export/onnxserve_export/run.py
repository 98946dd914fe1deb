"""Run candidate graphs in a process of their own, by `graph_process.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .arrays import Array, Arrays
from .batches import Batches, on_disk

GRAPH_PROCESS = Path(__file__).with_name("graph_process.py")
TIMEOUT_S = 1800


class GraphCrashed(RuntimeError):
    """The graph could not be loaded or run; the process that tried has ended."""


def _run_isolated(model: Path, batches: Batches, *extra: str) -> dict[str, Array]:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "out.npz"
        where = [str(model), str(batches.path), str(batches.start), str(batches.stop), str(target)]
        done = subprocess.run(
            [sys.executable, str(GRAPH_PROCESS), *where, *extra],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            raise GraphCrashed(lines[-1] if lines else f"exit {done.returncode}")
        with np.load(target) as outputs:
            return {name: outputs[name] for name in outputs.files}


def run_graph(model: Path, batches: Batches | Iterable[Arrays]) -> list[Array]:
    """Return the first output for each batch; GraphCrashed if the graph can't be loaded or run."""
    with tempfile.TemporaryDirectory() as scratch:
        source = on_disk(batches, Path(scratch))
        arrays = _run_isolated(model, source)
        return [arrays[str(number)].astype(np.float32) for number in range(len(source))]


def run_whole(model: Path, batch: Arrays) -> dict[str, Array]:
    """Return every output for one batch, by name; GraphCrashed if the graph can't be loaded or run."""
    with tempfile.TemporaryDirectory() as scratch:
        return _run_isolated(model, on_disk([batch], Path(scratch)), "all")
