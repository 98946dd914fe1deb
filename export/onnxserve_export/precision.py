"""Whether the numbers of a table are served in float32 or float64.

Some fitted models compare numbers in float64. In float32 a number beside a threshold may change sides, and the row then
gets another answer than the source's. Where that happens, on the definition's rows or on rows that are made beside the
thresholds, the archive takes float64. It also does where trees or bins stand behind steps that compute, such as a
scaler: what these give is rounded otherwise in a graph of float32, and no rows tell which numbers then change sides. A
model that wants float64 is refused if its graph in float64 changes more answers than the budget allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import msgspec
import numpy as np

from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve.scratch import Scratch
from onnxserve_handlers.errors import RequestError
from onnxserve_handlers.inputs.table import TableInput, TableOptions
from onnxserve_handlers.signature import OutputOptions, Signature

from .acceptance import budget_of
from .arrays import Array, Arrays
from .export_state import ExportState
from .run import GraphCrashed, run_graph
from .sources.pipeline_columns import encoded_names
from .sources.trees import TreeSource
from .threshold_rows import float32_graph, has_inner_thresholds, is_double, rows_beside_thresholds

MOST_ROWS = 1000
NUMBERS = ("number", "integer", "date")  # types of columns
TOLERANCE = 1e-5  # of the answers' largest size
EXACT_FIX = "if clients' numbers are exact in it, as whole numbers to 2^24 are; or fit the model to rounded numbers"
ASKED_FIX = 'set dtype = "float64", or leave it out'


@dataclass(frozen=True)
class ChangedAnswers:
    """How many rows get another answer in float32, among the definition's and among those beside thresholds."""

    rows: int
    of_rows: int
    beside: int
    of_beside: int

    def __str__(self) -> str:
        """Describe what float32 changes, for a person."""
        return (
            f"in float32, {self.rows} of {self.of_rows} rows get another answer, and {self.beside} of "
            f"{self.of_beside} rows beside thresholds"
        )


def choose_dtype(state: ExportState) -> None:
    """Put the types of a fitted model's numbers into the definition; DefinitionError if it demands float32 in vain."""
    options, model = state.definition.input, state.model
    if not isinstance(options, TableOptions) or not isinstance(model, TreeSource) or state.definition.handler:
        return
    values = [*islice((row.value for row in chain.from_iterable(state.split.subsets.values())), MOST_ROWS)]
    free = in_float64(options, model, "auto")
    if free == options:
        _check_float32(model, options, values)
        return
    exact = tensors_of(free, values)
    if not exact:
        return
    graph = float32_graph(model, exact)
    beside = rows_beside_thresholds(graph, exact)
    changed = ChangedAnswers(count_changed(model, exact), size(exact), count_changed(model, beside), size(beside))
    if changed.rows or changed.beside or has_inner_thresholds(graph):
        _take_float64(state, model, free, joined(exact, beside), changed)


def _check_float32(model: TreeSource, options: TableOptions, values: Iterable[Any]) -> None:
    """Raise DefinitionError if the definition asks for float32, and that changes answers of its rows."""
    exact = tensors_of(in_float64(options, model, "float32"), values)
    if not exact or not (changed := count_changed(model, exact)):
        return
    raise DefinitionError(
        f"in float32, {changed} of {size(exact)} rows get another answer of {model.name} than in float64",
        where=_place(options),
        fix=ASKED_FIX,
    )


def _take_float64(
    state: ExportState, model: TreeSource, free: TableOptions, rows: Arrays, changed: ChangedAnswers
) -> None:
    """Put float64 into the definition; DefinitionError if answers change and no graph is right.

    Without a graph in float64, what stands behind steps that compute stays in float32 while no row shows a change.
    """
    is_changed = bool(changed.rows or changed.beside)
    why = str(changed) if is_changed else "trees or bins stand behind steps that compute, whose rounding would count"
    try:
        moved = count_moved(model, rows)
    except (CheckFailed, GraphCrashed) as error:
        fault = str(error).splitlines()[0]
        if is_changed:
            raise _no_graph(state, why, fault) from error
        state.say(f"      numbers stay in float32, though {why}: there is no graph in float64: {fault}")
        return
    if moved > budget_of(state.definition) * size(rows):
        raise _no_graph(state, why, f"{moved} of {size(rows)} rows get another answer there too")
    state.definition = msgspec.structs.replace(state.definition, input=free)
    state.say(f"      numbers are served in float64: {why}")


def _no_graph(state: ExportState, why: str, fault: str) -> DefinitionError:
    options = state.definition.input
    place = "[input]" if _place(options) == "input.dtype" else "columns of numbers"
    return DefinitionError(
        f"{why}; and {state.model.summary} can't be served in float64: {fault}",
        where=state.source_place,
        fix=f'set dtype = "float32" in {place} {EXACT_FIX}',
    )


def _place(options: Any) -> str:
    return "input.columns" if options.tensors == "columns" else "input.dtype"


def in_float64(options: TableOptions, model: TreeSource, dtype: str) -> TableOptions:
    """Return options with float64 for the numbers of another type: `float32`, or `auto` for those without one.

    Of a data frame these are whole numbers too, but for codes: the converter rounds them to float32 before it computes.
    """
    if options.tensors == "one":
        return msgspec.structs.replace(options, dtype="float64") if options.dtype == dtype else options
    own, codes = (None if dtype == "auto" else dtype), encoded_names(model.model)
    columns = tuple(
        msgspec.structs.replace(column, dtype="float64")
        if column.dtype == own and column.type in NUMBERS and column.name not in codes
        else column
        for column in options.typed_columns
    )
    return options if columns == options.typed_columns else msgspec.structs.replace(options, columns=columns)


def count_moved(model: TreeSource, rows: Arrays) -> int:
    """Return how many rows get another answer of the graph in float64 than the model's.

    CheckFailed if the model can't be converted, GraphCrashed if the graph doesn't run.
    """
    proto, _ = model.graph(rows, {})
    with Scratch() as scratch:
        path = scratch / "double.onnx"
        path.write_bytes(proto.SerializeToString())
        [outputs] = run_graph(path, [rows])
    [expected], [answers] = model.run(rows).values(), outputs.values()
    return int(answers_differ(expected, answers).sum())


def size(rows: Arrays) -> int:
    """Return the number of rows in tensors."""
    return len(next(iter(rows.values()), ()))


def joined(rows: Arrays, others: Arrays) -> Arrays:
    """Return rows with others behind them."""
    return {name: np.concatenate([array, others[name]]) for name, array in rows.items()}


def tensors_of(options: TableOptions, values: Iterable[Any]) -> Arrays:
    """Return the handler's tensors for rows; those that it refuses are left out, and without any there are none."""
    hooks = TableInput()
    hooks.signature = Signature("", "", "", "", options, OutputOptions(), (), (), 1)
    hooks.prepare()
    instances = list(values)
    checked = hooks.check_all(instances, range(len(instances)))
    rows = [row for row in checked if not isinstance(row, RequestError)]
    tensors = hooks.tensors(rows) if rows else {}
    return {name: array.astype(np.str_) if array.dtype.kind == "O" else array for name, array in tensors.items()}


def count_changed(model: TreeSource, exact: Arrays) -> int:
    """Return how many rows get another answer once their numbers of float64 were rounded to float32."""
    if not size(exact):
        return 0
    near = {name: array.astype(np.float32).astype(np.float64) for name, array in exact.items() if is_double(array)}
    [answers], [rounded] = model.run(exact).values(), model.run(exact | near).values()
    return int(answers_differ(answers, rounded).sum())


def answers_differ(expected: Array, answers: Array) -> Array:
    """Return which rows' answers differ by more than arithmetic explains, shape (rows,)."""
    differences = np.abs(expected.astype(np.float64) - answers).reshape(len(expected), -1).max(axis=1)
    # Written so that a value that is no number differs too.
    return np.asarray(~(differences <= TOLERANCE * max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))))
