"""Step parity: compare the fp32 graph with its source row by row, on the rows there are and on generated ones.

A graph that computes the same in the same precision needs no certificate: nothing was traded for speed. So it may serve
if, on every row, its outputs lie within float tolerance of the source's and its answer is the same. Nothing is claimed
of rows that weren't compared. Other variants change answers, and how many is a matter of statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from onnxserve.archive.deviation import row_slices
from onnxserve_handlers.outputs import Outputs, drop_rows, rows_not_finite
from onnxserve_handlers.tasks import Flags, TaskHooks

from .arrays import Array, Arrays, main
from .batches import Batches
from .deviation import TOLERANCE
from .export_state import ExportState
from .graph_outputs import GraphOutputs
from .outputs import cut, join, with_row_sizes
from .records import RowParity
from .reference import check_finite, typical_outputs
from .served_class import overrides
from .step import Step
from .typical_spread import magnitudes, row_units, typical_scales

Changes = Callable[[Outputs, Outputs], Flags]  # which rows' answers differ, of outputs and the source's


@dataclass(frozen=True)
class Compared:
    """One group of rows: each row's deviation, and whether its answer changed, both of shape (rows,)."""

    name: str
    deviations: Array
    changed: Array


def compare(name: str, expected: Outputs, actual: Outputs, scales: Arrays, changes: Changes | None) -> Compared:
    """Compare all outputs, each in its own unit, and the answers that `changes` makes of them."""
    deviations = np.zeros(len(main(expected)))
    for output, array in expected.items():
        deviations = np.maximum(deviations, row_deviations(array, actual.get(output), scales[output]))
    changed = deviations > TOLERANCE
    if changes and np.isfinite(deviations).all() and len(deviations):
        parts = list(row_slices(max(expected.values(), key=lambda array: array.size)))
        changed = np.concatenate([np.asarray(changes(actual.take(rows), expected.take(rows)), bool) for rows in parts])
    return Compared(name, deviations, changed)


def changes_of(hooks: TaskHooks) -> Changes:
    """Return what tells which answers differ: labels, spans, objects or masks beyond thresholds.

    An `agreement` of the user's own handler says it too, up to the tolerance.
    """
    if not overrides(hooks, "agreement"):
        return hooks.changes
    return lambda outputs, reference: (
        hooks.changes(outputs, reference) | (np.asarray(hooks.agreement(outputs, reference)) < 1 - TOLERANCE)
    )


def row_deviations(expected: Array, actual: Array | None, scale: Array) -> Array:
    """Return the largest deviation of each row, infinite where a value isn't finite or shapes differ; shape (rows,).

    `scale` has the shape (1,) or (values,), or one of these for each row. In memory are some rows at a time.
    """
    if actual is None or expected.shape != actual.shape:
        return np.full(len(expected), np.inf)
    deviations = np.zeros(len(expected))
    for rows in row_slices(expected):
        left, right = (outputs[rows].reshape(len(outputs[rows]), -1) for outputs in (expected, actual))
        with np.errstate(invalid="ignore"):
            differences = np.abs(left.astype(np.float64) - right) / (scale[rows] if scale.ndim > 1 else scale)
        deviations[rows] = np.nan_to_num(differences, nan=np.inf, posinf=np.inf).max(axis=1, initial=0.0)
    return deviations


def row_scales(expected: Arrays, scales: Arrays) -> Arrays:
    """Return the units for generated rows: the spread, or the row's largest value where that is larger.

    Such rows may lie far from any real one, where float32 itself is coarser than the real rows' spread.
    """
    return {name: np.maximum(scales[name], magnitudes(array, scales[name])) for name, array in expected.items()}


def comparisons(state: ExportState, fp32: GraphOutputs) -> Iterator[Compared]:
    """Yield all groups of rows, compared; generated rows for which the source itself isn't finite are left out."""
    groups, changes = state.groups, changes_of(state.opened)
    typical = typical_outputs(state)
    narrow = typical_scales(state.scales, typical)
    known = {"select": state.select_reference, "certify": state.reference, "golden": state.golden_outputs}
    for name in ("fit", "calibrate", "select", "certify", "golden", "generated"):
        batches: Batches = getattr(groups, name)
        if not len(batches):
            continue
        expected = known.get(name) or source_outputs(state, batches)
        actual = fp32.of(batches)
        expected, actual = (with_row_sizes(outputs, batches.sizes(), state.row_axes) for outputs in (expected, actual))
        if name == "generated":
            beyond = rows_not_finite(expected)
            expected, actual = drop_rows(expected, beyond), drop_rows(actual, beyond)
            scales = row_scales(expected, narrow)
        else:
            check_finite(state.model.name, name, expected)
            scales = {output: row_units(array, narrow[output], typical[output]) for output, array in expected.items()}
        yield compare(name, expected, actual, scales, changes)


def source_outputs(state: ExportState, batches: Batches) -> Arrays:
    """Return the source's outputs for batches, cut to each row's own sizes."""
    left, parts = batches.pads_left(), zip(batches, batches.sizes(), strict=True)
    return join(cut(state.model.run(batch), sizes, state.row_axes, pads_left=left) for batch, sizes in parts)


def fault_of(groups: list[Compared]) -> str:
    """Return why the graph isn't equal to its source, empty if it is."""
    worst = max(groups, key=lambda group: float(group.deviations.max(initial=0.0)))
    deviation = float(worst.deviations.max(initial=0.0))
    if not deviation <= TOLERANCE:
        row = int(worst.deviations.argmax())
        return f"not equal to its source: {worst.name} row {row} deviates by {deviation:.3g} spreads"
    if changed := sum(int(group.changed.sum()) for group in groups):
        rows = sum(len(group.changed) for group in groups)
        first = next(group for group in groups if group.changed.any())
        return (
            f"not equal to its source: {changed} of {rows} rows ({changed / rows:.2%}) get another answer, first "
            f"{first.name} row {int(first.changed.argmax())}, though no output deviates by more than {deviation:.2g} "
            "spreads: they lie at a threshold"
        )
    return ""


def call(state: ExportState) -> None:
    """Compare fp32 with its source, if it is among the variants."""
    state.row_parity = None
    if state.fp32_outputs is None:
        return
    groups = list(comparisons(state, state.fp32_outputs))
    counts = {group.name: len(group.changed) for group in groups}
    generated, golden = counts.pop("generated", 0), counts.pop("golden", 0)
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
    "parity",
    ("model", "groups", "fp32_outputs", "reference", "select_reference", "golden_outputs"),
    ("row_parity",),
    call,
)
