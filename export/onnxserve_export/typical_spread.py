"""The spread of most rows: a few rows with huge outputs would make every error of the others look small."""

from __future__ import annotations

import numpy as np

from onnxserve.archive.deviation import row_slices

from .arrays import Array, Arrays

WIDTHS = 2.0  # by which the spread may exceed the distance of the quantiles, which is 3.3 spreads of a normal one
QUANTILES = 0.05, 0.95
OUTLYING = 10.0  # times the magnitude of most rows
SAMPLE = 2**22  # values that quantiles are taken of


def widest(values: Array) -> Array:
    """Return the largest spread that each column may have, of values of shape (rows, columns); infinite if none is.

    Of a column that hardly ever changes, as a count that is mostly 0, the rare values are all there is.
    """
    sample = sampled(values)
    if not sample.size:
        return np.full(values.shape[1], np.inf)
    low, high = np.quantile(sample, QUANTILES, axis=0)
    return np.where(high > low, WIDTHS * (high - low), np.inf)


def usual_magnitudes(values: Array) -> Array:
    """Return the magnitude that most rows' values keep below, by column, of values of shape (rows, columns)."""
    sample = np.abs(sampled(values))
    return np.quantile(sample, QUANTILES[1], axis=0) if sample.size else np.zeros(values.shape[1])


def sampled(values: Array) -> Array:
    """Return so many rows that quantiles are known, as float64."""
    return values[:: max(1, values.size // SAMPLE)].astype(np.float64)


def typical_scales(scales: Arrays, outputs: Arrays) -> Arrays:
    """Return units of deviations no wider than most rows' outputs; each has one number, or one for each value."""
    typical = {}
    for name, scale in scales.items():
        values = outputs[name].reshape(len(outputs[name]), -1)
        typical[name] = np.minimum(scale, widest(values if len(scale) == values.shape[1] else values.reshape(-1, 1)))
    return typical


def row_units(expected: Array, scale: Array, typical: Array) -> Array:
    """Return each row's unit, shape (rows, 1 or values): its `magnitudes` if it lies far beyond `typical` rows.

    There float32 itself is coarser than the spread of most rows.
    """
    known = largest_of_rows(typical)
    usual = float(np.quantile(known, QUANTILES[1])) if len(known) else np.inf
    is_far = largest_of_rows(expected) > OUTLYING * usual
    return np.where(is_far[:, None], np.maximum(magnitudes(expected, scale), scale), scale)


def magnitudes(outputs: Array, scale: Array) -> Array:
    """Return each row's largest magnitude, shape (rows, 1).

    Where `scale` has one number for each value, whose units differ, no value's is more than that value's own largest
    one in any row; shape (rows, values).
    """
    largest = largest_of_rows(outputs)[:, None]
    return largest if len(scale) == 1 else np.minimum(largest, np.abs(outputs).max(axis=0, initial=0.0).reshape(-1))


def largest_of_rows(outputs: Array) -> Array:
    """Return each row's largest magnitude, shape (rows,); in memory are some rows at a time."""
    parts = (np.abs(outputs[rows].astype(np.float64)) for rows in row_slices(outputs))
    return np.concatenate([np.zeros(0), *(part.reshape(len(part), -1).max(axis=1, initial=0.0) for part in parts)])
