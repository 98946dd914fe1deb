"""Run candidate graphs in a process of their own, by `graph_process.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .arrays import Arrays, Axes
from .batches import Batches, ensure_on_disk
from .outputs import cut

GRAPH_PROCESS = Path(__file__).with_name("graph_process.py")
TIMEOUT_S = 1800


class GraphCrashed(RuntimeError):
    """The graph could not be loaded or run; the process that tried has ended."""


def run_graph(model: Path, batches: Batches | Iterable[Arrays]) -> list[Arrays]:
    """Return every output by name for each batch; GraphCrashed if the graph can't be loaded or run."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = ensure_on_disk(batches, Path(scratch)), Path(scratch) / "out.npz"
        where = [str(model), str(source.path), str(source.start), str(source.stop), str(target)]
        completed = subprocess.run(
            [sys.executable, str(GRAPH_PROCESS), *where],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if completed.returncode != 0:
            lines = completed.stderr.strip().splitlines()
            raise GraphCrashed(lines[-1] if lines else f"exit {completed.returncode}")
        return [widen_half_floats(outputs) for outputs in Batches(target, 0, len(source))]


def widen_half_floats(outputs: Arrays) -> Arrays:
    """Return outputs with half floats as float32; other dtypes stay."""
    return {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in outputs.items()}


def run_unpadded(model: Path, batches: Batches, axes: Axes) -> list[Arrays]:
    """Return the same, each row's outputs cut to its own sizes along `axes`."""
    left, runs = batches.pads_left(), zip(run_graph(model, batches), batches.sizes(), strict=True)
    return [cut(outputs, sizes, axes, pads_left=left) for outputs, sizes in runs]
