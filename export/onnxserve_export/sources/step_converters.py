"""Steps of scikit-learn as nodes that compute as exactly as the table is, where skl2onnx rounds or answers otherwise.

skl2onnx writes constants of these in float32, and leaves out what an imputer adds or drops, zero rows of a normaliser
and missing values of a power. Its interface for converters: https://onnx.ai/sklearn-onnx/auto_tutorial/plot_icustom_converter.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxserve_export.arrays import Array

NORMS = {"l1": "ReduceL1", "l2": "ReduceL2", "max": "ReduceMax"}


@dataclass(frozen=True)
class Writer:
    """Writes nodes of one step; `kind` is the type of its numbers."""

    scope: Any
    container: Any
    kind: int

    def node(self, operation: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Write a node, and constants for arrays among its inputs; return the name of its output."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = output or self.scope.get_unique_variable_name(operation.lower())
        self.container.add_node(
            operation, names, [output], name=self.scope.get_unique_operator_name(operation), **attributes
        )
        return output

    def constant(self, value: Any) -> str:
        """Write a constant: whole numbers and truth values as they are, others in the type of the step's numbers."""
        array, name = np.asarray(value), self.scope.get_unique_variable_name("constant")
        kinds = {"i": TensorProto.INT64, "b": TensorProto.BOOL}
        self.container.add_initializer(
            name, kinds.get(array.dtype.kind, self.kind), array.shape, array.ravel().tolist()
        )
        return str(name)

    def cast(self, name: str, kind: int, output: str = "") -> str:
        """Write a cast."""
        return self.node("Cast", name, output=output, to=kind)


Nodes = Callable[[Writer, Any, str], str]  # write the nodes of a step behind its numbers, and return the last output


def write_exactly(step: Any) -> None:
    """Let a copied step become its own nodes, if there are some for it."""
    if write := nodes_of(step):
        step.onnx_converter = lambda: partial(_convert, write)
        step.onnx_shape_calculator = lambda: _state_output


def nodes_of(step: Any) -> Nodes | None:
    """Return what writes the nodes of a step; None for a step that skl2onnx writes."""
    write = WRITERS.get(type(step).__name__)
    if write is _impute:
        fillings = np.asarray(getattr(step, "statistics_", ["never fitted"]))
        return write if fillings.dtype.kind == "f" and isinstance(step.missing_values, float | int) else None
    return write


def _state_output(operator: Any) -> None:
    """State the type and shape of what a step gives: numbers as exact as it gets them, and the columns of its own."""
    from skl2onnx.common._registration import get_shape_calculator

    [source], [target], step = operator.inputs, operator.outputs, operator.raw_operator
    get_shape_calculator(operator.type)(operator)
    rows, columns = target.type.shape
    if hasattr(step, "statistics_"):
        marks = 0 if step.indicator_ is None else len(step.indicator_.features_)
        columns = int((~np.isnan(step.statistics_)).sum()) + marks
    kind = source.type if type(source.type).__name__ == "DoubleTensorType" else target.type
    target.type = type(kind)([rows, columns])


def _convert(write: Nodes, scope: Any, operator: Any, container: Any) -> None:
    """Write a step's nodes, as a converter of skl2onnx does."""
    from skl2onnx.common.data_types import guess_proto_type

    [source], [target] = operator.inputs, operator.outputs
    kind = guess_proto_type(source.type)
    is_number = kind in (TensorProto.FLOAT, TensorProto.DOUBLE)
    writer = Writer(scope, container, kind if is_number else TensorProto.FLOAT)
    numbers = source.full_name if is_number else writer.cast(source.full_name, writer.kind)
    output = write(writer, operator.raw_operator, numbers)
    writer.cast(output, guess_proto_type(target.type), target.full_name)


def _impute(writer: Writer, step: Any, numbers: str) -> str:
    """Fill in missing numbers; columns that had no value are dropped, and columns may say what was missing."""
    missing, fillings = step.missing_values, step.statistics_
    gaps = writer.node("IsNaN", numbers) if np.isnan(missing) else writer.node("Equal", numbers, float(missing))
    kept = np.flatnonzero(~np.isnan(fillings))
    filled = writer.node("Where", gaps, np.nan_to_num(fillings)[None], numbers)
    if len(kept) < len(fillings):
        filled = writer.node("Gather", filled, kept, axis=1)
    if step.indicator_ is None:
        return filled
    marks = writer.node("Gather", writer.cast(gaps, writer.kind), step.indicator_.features_, axis=1)
    return writer.node("Concat", filled, marks, axis=1)


def _binarise(writer: Writer, step: Any, numbers: str) -> str:
    return writer.cast(writer.node("Greater", numbers, float(step.threshold)), writer.kind)


def _normalise(writer: Writer, step: Any, numbers: str) -> str:
    """Divide rows by their norms, and leave those of zeros alone."""
    norm = writer.node(NORMS[step.norm], writer.node("Abs", numbers), np.array([1]))
    divisor = writer.node("Where", writer.node("Equal", norm, 0.0), 1.0, norm)
    return writer.node("Div", numbers, divisor)


def _raise_power(writer: Writer, step: Any, numbers: str) -> str:
    """Write a power of each column, then their standardisation.

    Yeo-Johnson's powers are Box and Cox's of 1 + |x|, with the exponent 2 - lambda and the other sign below zero:
    https://doi.org/10.1093/biomet/87.4.954
    """
    exponents: Array = step.lambdas_[None]
    if step.method == "box-cox":
        powers = _box_cox(writer, numbers, exponents)
    else:
        is_below = writer.node("Less", numbers, 0.0)
        bases = writer.node("Add", writer.node("Abs", numbers), 1.0)
        below, above = _box_cox(writer, bases, 2 - exponents), _box_cox(writer, bases, exponents)
        powers = writer.node("Where", is_below, writer.node("Neg", below), above)
    if not step.standardize:
        return powers
    return writer.node("Div", writer.node("Sub", powers, step._scaler.mean_), step._scaler.scale_)  # noqa: SLF001 - it keeps them nowhere else


def _box_cox(writer: Writer, bases: str, exponents: Array) -> str:
    is_log = np.abs(exponents) < np.spacing(1.0)
    divisors = np.where(is_log, 1.0, exponents)
    powers = writer.node("Div", writer.node("Sub", writer.node("Pow", bases, divisors), 1.0), divisors)
    return writer.node("Where", is_log, writer.node("Log", bases), powers) if is_log.any() else powers


def _put_into_bins(writer: Writer, step: Any, numbers: str) -> str:
    """Write the number of edges between bins that are at most a number, or a column for each bin."""
    inner = [edges[1:-1] for edges in step.bin_edges_]
    edges = np.full((1, len(inner), max(1, *map(len, inner))), np.inf)
    for column, own in enumerate(inner):
        edges[0, column, : len(own)] = own
    columns = writer.node("Unsqueeze", numbers, np.array([2]))
    passed = writer.cast(writer.node("GreaterOrEqual", columns, edges), writer.kind)
    places = writer.node("ReduceSum", passed, np.array([2]), keepdims=0)
    if step.encode == "ordinal":
        return places
    counts = [len(own) + 1 for own in inner]
    repeated = writer.node("Gather", places, np.repeat(np.arange(len(counts)), counts), axis=1)
    bins = np.concatenate([np.arange(count, dtype=np.float64) for count in counts])
    return writer.cast(writer.node("Equal", repeated, bins), writer.kind)


WRITERS: Mapping[str, Nodes] = {
    "SimpleImputer": _impute,
    "Binarizer": _binarise,
    "Normalizer": _normalise,
    "PowerTransformer": _raise_power,
    "KBinsDiscretizer": _put_into_bins,
}
