"""The deviation of outputs, in units of their spread, and its tolerance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
TOLERANCE = 1e-3  # spreads: kernels for other batch sizes add in another order
# Of an output's magnitude, below which a spread is no measure: float32's rounding would be a deviation.
ROUNDING = 2.0**-12
CHUNK = 2**22  # elements that are compared together
TINY = float(np.finfo(np.float32).tiny)
GOLDEN = "golden.json"


def scale_of(outputs: Array, *, each: bool = False) -> Array:
    """Return the unit of deviations: the standard deviation of `outputs`, shape (rows, ...), never 0.

    One for all outputs, shape (1,); or with `each` one for each output of a row, whose units may differ. Outputs that
    hardly change have a part of their magnitude as scale.
    """
    values = outputs.reshape(len(outputs), -1).astype(np.float64)
    axis = 0 if each else None
    magnitude = np.abs(values).max(axis=axis, initial=0.0)
    with np.errstate(over="ignore"):  # the square of a number beyond 1e154
        spread = np.nan_to_num(values.std(axis=axis), nan=np.inf)
    scale = np.maximum(np.minimum(spread, magnitude), ROUNDING * magnitude)
    return np.atleast_1d(np.maximum(scale, TINY))


def magnitude_of(outputs: Array) -> Array:
    """Return the largest magnitude, shape (1,), never 0: the unit of a layer's deviations."""
    return np.array([max(float(np.abs(outputs).max(initial=0.0)), TINY)])


def deviation(left: Array, right: Array, scale: Array) -> float:
    """Return the largest absolute difference in units of `scale`; infinite if shapes differ or a value isn't finite."""
    if left.shape != right.shape:
        return float("inf")
    if not left.size:
        return 0.0
    worst = max(_largest(left[rows], right[rows], scale) for rows in row_slices(right))
    return worst if np.isfinite(worst) else float("inf")


def _largest(left: Array, right: Array, scale: Array) -> float:
    with np.errstate(invalid="ignore"):  # infinity less infinity
        differences = np.abs(left.astype(np.float64) - right).reshape(len(right), -1) / scale
    return float(np.nan_to_num(differences, nan=np.inf).max(initial=0.0))


def row_slices(array: Array) -> Iterator[slice]:
    """Yield slices of rows with some CHUNK elements each, so that no step copies the whole of a large array."""
    rows = max(1, CHUNK * len(array) // max(1, array.size))
    return (slice(start, start + rows) for start in range(0, len(array), rows))


def recorded_scale(folder: Path, outputs: Array) -> Array:
    """Return the recorded scale of an archive's golden rows, else that of `outputs`; shapes are those of `scale_of`."""
    path = folder / GOLDEN
    recorded = msgspec.json.decode(path.read_bytes()).get("scale") if path.is_file() else None
    return np.asarray(recorded, np.float64) if recorded else scale_of(outputs)
