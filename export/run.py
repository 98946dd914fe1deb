"""Running candidate graphs through `probe.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .work import Array, Arrays

PROBE = Path(__file__).with_name("probe.py")
TIMEOUT_S = 1800


class GraphCrashed(RuntimeError):
    """The graph could not be loaded or run; the process that tried is gone."""


def write_groups(groups: list[Arrays], path: Path) -> None:
    """Groups of tensors as one file, `<index>/<input>`."""
    arrays = {f"{index}/{name}": array for index, group in enumerate(groups) for name, array in group.items()}
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def _probe(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(PROBE), *arguments], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise GraphCrashed(lines[-1] if lines else f"exit {done.returncode}")


def run_graph(model: Path, groups: list[Arrays]) -> list[Array]:
    """First output for each group; GraphCrashed when it can't."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "groups.npz", Path(scratch) / "out.npz"
        write_groups(groups, source)
        _probe(["run", str(model), str(source), str(target)])
        with np.load(target) as outputs:
            return [outputs[str(index)].astype(np.float32) for index in range(len(groups))]


def time_graphs(models: list[Path], groups: list[Arrays]) -> dict[Path, float]:
    """Median milliseconds a row, all models interleaved in one process."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "groups.npz", Path(scratch) / "out.json"
        write_groups(groups, source)
        _probe(["time", str(source), str(target), *map(str, models)])
        times = json.loads(target.read_text())
    return {Path(model): float(value) for model, value in times.items()}
