"""Measures of arrays by which drift compares live rows with those of the proof: a few numbers for each row.

Integers are often codes, such as ids of tokens, of which mean and spread say little: another text may have the same. So
each code stands for a fixed random number too, and the mean of a row's numbers moves with the mixture of its codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LEVELS = 1  # bytes of a number that is a level, such as a pixel's, rather than a code


def tensor_measures(name: str, arrays: Sequence[Array], dtype: np.dtype[Any]) -> dict[str, Array]:
    """Return the measures of an input's arrays, each of shape (rows,), NaN for a row without numbers.

    They are mean and spread; of integers also the share of zeros, which pad them, and of other codes the mixture.
    """
    measures = spread_measures(name, arrays)
    if dtype.kind not in "iu" or all(array.size <= 1 for array in arrays):
        return measures
    measures[f"{name}.zeros"] = _of_rows(arrays, lambda array: 1 - np.count_nonzero(array) / array.size)
    if dtype.itemsize > LEVELS:
        codes = [array[array != 0] for array in arrays]
        measures[f"{name}.mixture"] = _of_rows(codes, lambda array: fixed_random(array).mean())
    return measures


def spread_measures(name: str, arrays: Sequence[Array]) -> dict[str, Array]:
    """Return mean and standard deviation of each row's numbers as measures, shape (rows,), NaN for a row without any.

    Of rows that have one number each there is no standard deviation.
    """
    measures = {name: _of_rows(arrays, lambda array: array.mean(dtype=np.float64))}
    if any(array.size > 1 for array in arrays):
        measures[f"{name}.spread"] = _of_rows(arrays, lambda array: array.std(dtype=np.float64))
    return measures


def size_measures(sizes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """Return each row's own sizes of the free axes as measures, by the axis's name."""
    return {f"{axis}.size": np.array(each, np.float64) for axis, each in sizes.items()}


def fixed_random(codes: Array) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each integer, the same one always, of the same shape.

    It is the finalizer of SplitMix64 (G. Steele et al., "Fast splittable pseudorandom number generators", 2014).
    """
    mixed = codes.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) / 2.0**64, np.float64)


def _of_rows(arrays: Sequence[Array], number: Callable[[Array], Any]) -> npt.NDArray[np.float64]:
    return np.array([number(array) if array.size else np.nan for array in arrays], np.float64)
