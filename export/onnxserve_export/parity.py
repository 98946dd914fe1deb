"""Step parity: compare the fp32 graph with its source row by row, on the rows there are and on generated ones.

A graph that computes the same in the same precision needs no certificate: nothing was traded for speed. So it may serve
if, on every row, its outputs lie within float tolerance of the source's and its answer is the same. Nothing is claimed
of rows that weren't compared. Other variants change answers, and how many is a matter of statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .acceptance import task_of
from .arrays import Array
from .batches import Batches, concatenated
from .deviation import TOLERANCE
from .export_state import ExportState
from .plan import FP32
from .records import RowParity
from .reference import run_torch
from .run import run_graph
from .step import Step


@dataclass(frozen=True)
class Compared:
    """One group of rows: each row's deviation, and whether its answer changed, both of shape (rows,)."""

    name: str
    deviations: Array
    changed: Array


def compare(name: str, expected: Array, actual: Array, scale: Array, *, labels: bool) -> Compared:
    """Compare outputs of shape (rows, ...) in units of `scale`; with `labels` an answer is the largest output."""
    if expected.shape != actual.shape:
        return Compared(name, np.full(len(expected), np.inf), np.ones(len(expected), bool))
    left, right = (outputs.reshape(len(outputs), -1).astype(np.float64) for outputs in (expected, actual))
    with np.errstate(invalid="ignore"):
        differences = np.abs(left - right) / scale
    deviations = np.nan_to_num(differences, nan=np.inf, posinf=np.inf).max(axis=1, initial=0.0)
    changed = left.argmax(axis=1) != right.argmax(axis=1) if labels and len(left) else deviations > TOLERANCE
    return Compared(name, deviations, changed)


def row_scale(expected: Array, scale: Array) -> Array:
    """Return the unit for generated rows: the spread, or the row's largest output where that is larger.

    Such rows may lie far from any real one, where float32 itself is coarser than the real rows' spread.
    """
    rows = np.abs(expected.reshape(len(expected), -1).astype(np.float64))
    return np.asarray(np.maximum(scale, rows.max(axis=1, initial=0.0, keepdims=True)))


def finite_rows(outputs: Array) -> Array:
    """Return which rows are finite, shape (rows,)."""
    return np.asarray(np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1))


def comparisons(state: ExportState) -> Iterator[Compared]:
    """Yield all groups of rows, compared; generated rows for which the source itself isn't finite are left out."""
    groups, labels = state.groups, task_of(state.definition) == "labels"
    known = {"select": state.select_reference, "certify": state.reference, "golden": state.golden_outputs}
    for name in ("fit", "calibrate", "select", "certify", "golden", "generated"):
        batches: Batches = getattr(groups, name)
        expected = known.get(name)
        if expected is None:
            expected = concatenated(run_torch(state.module, batch) for batch in batches)
        actual, scale = concatenated(run_graph(state.fp32, batches)) if len(batches) else expected, state.scale
        if name == "generated":
            finite = finite_rows(expected)
            expected, actual = expected[finite], actual[finite]
            scale = row_scale(expected, scale)
        yield compare(name, expected, actual, scale, labels=labels)


def fault_of(groups: list[Compared]) -> str:
    """Return why the graph isn't equal to its source, empty if it is."""
    worst = max(groups, key=lambda group: float(group.deviations.max(initial=0.0)))
    deviation = float(worst.deviations.max(initial=0.0))
    if not deviation <= TOLERANCE:
        row = int(worst.deviations.argmax())
        return f"not equal to its source: {worst.name} row {row} deviates by {deviation:.3g} spreads"
    if changed := sum(int(group.changed.sum()) for group in groups):
        rows = sum(len(group.changed) for group in groups)
        return f"not equal to its source: {changed} of {rows} rows get another answer"
    return ""


def call(state: ExportState) -> None:
    """Compare fp32 with its source, if it is among the variants."""
    state.row_parity = None
    if FP32 not in state.plan.variants:
        return
    groups = list(comparisons(state))
    counts = {group.name: len(group.changed) for group in groups}
    generated, golden = counts.pop("generated"), counts.pop("golden")
    deviation = max(float(group.deviations.max(initial=0.0)) for group in groups)
    changed = sum(int(group.changed.sum()) for group in groups)
    state.row_parity = RowParity(sum(counts.values()), golden, generated, deviation, changed, fault_of(groups))
    state.say(f"      {describe(state.row_parity)}")


def describe(parity: RowParity) -> str:
    """Describe the comparison in one line for the terminal."""
    rows = f"{parity.rows} rows, {parity.golden} golden rows and {parity.generated} generated ones"
    if parity.fault:
        return f"fp32 is {parity.fault} ({rows} were compared); it needs a certificate"
    return f"fp32 answers {rows} as its source does, with a deviation of at most {parity.deviation:.2g} spreads"


STEP = Step(
    "parity", ("module", "groups", "fp32", "reference", "select_reference", "golden_outputs"), ("row_parity",), call
)
