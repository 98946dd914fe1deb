"""Golden rows: answers of the torch model that a worker must reproduce before it is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt


class GoldenMismatch(RuntimeError):
    """Answers on this machine differ from the proven ones; the worker must not serve."""


@dataclass(frozen=True)
class Golden:
    """Instances, and torch's outputs for them, shape (rows, outputs), within `tolerance`."""

    instances: list[Any]
    outputs: list[list[float]]
    tolerance: float


def read_golden(folder: Path) -> Golden:
    """Parse `golden.json`."""
    return msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)


def check_golden(golden: Golden, run: Callable[[list[Any]], npt.NDArray[Any]]) -> float:
    """Largest deviation from torch, rows together and each alone; GoldenMismatch beyond the tolerance."""
    expected = np.asarray(golden.outputs, dtype=np.float32)
    together = run(golden.instances)
    alone = np.concatenate([run([instance]) for instance in golden.instances])
    worst = float(max(np.abs(together - expected).max(), np.abs(alone - expected).max()))
    # `not <=` also catches NaN.
    if not worst <= golden.tolerance:
        raise GoldenMismatch(
            f"golden rows deviate by {worst:.3g} from the torch model, {golden.tolerance:.3g} is allowed; "
            "export again on this kind of machine or choose another variant"
        )
    return worst
