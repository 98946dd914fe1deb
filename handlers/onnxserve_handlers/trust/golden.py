"""Golden rows: a worker must reproduce the torch model's outputs for them before it is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt


class GoldenMismatch(RuntimeError):
    """Outputs on this machine differ from the proven ones, so the worker must not serve."""


@dataclass(frozen=True)
class Golden:
    """Instances, and torch's outputs for them, shape (rows, outputs).

    `scale` is the spread of torch's outputs over many rows: one number for all outputs, or one for each. Deviations are
    measured in it, and at most `tolerance` is allowed.
    """

    instances: list[Any]
    outputs: list[list[float]]
    tolerance: float
    scale: list[float] = field(default_factory=lambda: [1.0])


def read_golden(folder: Path) -> Golden:
    """Parse `golden.json` of an unpacked archive."""
    return msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)


def check_golden(golden: Golden, run: Callable[[list[Any]], npt.NDArray[Any]]) -> float:
    """Return the largest deviation from torch, in spreads, of the rows run together and of each row run alone.

    `run` gives the first output for some instances. Raises GoldenMismatch beyond the tolerance.
    """
    together = run(golden.instances)
    alone = np.concatenate([run([instance]) for instance in golden.instances])
    expected, scale = np.asarray(golden.outputs, np.float64), np.asarray(golden.scale, np.float64)
    actual = [outputs.reshape(expected.shape).astype(np.float64) for outputs in (together, alone)]
    worst = max(float((np.abs(outputs - expected) / scale).max()) for outputs in actual)
    # `not <=` also catches NaN, which `max` may drop.
    if not (worst <= golden.tolerance and all(np.isfinite(outputs).all() for outputs in actual)):
        raise GoldenMismatch(
            f"golden rows deviate from the torch model by {worst:.3g} of its outputs' spread, {golden.tolerance:.3g} "
            "is allowed; export again on this kind of machine or choose another variant"
        )
    return worst
