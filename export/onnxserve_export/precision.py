"""Whether the numbers of a table are served in float32 or float64.

Some fitted models compare numbers in float64. In float32 a number beside a threshold may change sides, and the row then
gets another answer than the source's. Where that happens, on the definition's rows or on rows that are made beside the
thresholds, the archive takes float64. It also does where trees stand behind steps that compute, such as a scaler: what
these give is rounded otherwise in a graph of float32, and no rows tell which numbers then change sides. Where columns
have tensors of their own, no graph does; the model is refused if more answers change than its budget allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal

import msgspec
import numpy as np
import onnx

from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve.scratch import Scratch
from onnxserve_handlers.errors import RequestError
from onnxserve_handlers.inputs.table import FEATURES, TableInput, TableOptions
from onnxserve_handlers.inputs.table_columns import FLOATS
from onnxserve_handlers.signature import OutputOptions, Signature

from .acceptance import budget_of
from .arrays import Array, Arrays
from .export_state import ExportState
from .run import GraphCrashed, run_graph
from .sources.tree_graphs import convert
from .sources.tree_nodes import LEQ, TREES
from .sources.trees import SCORES, TreeSource

MOST_ROWS, MOST_THRESHOLDS = 1000, 256
SIDES = (0.499, 0.501)  # of the way from a threshold in float32 to the next number: they round to different ones
# Nodes that give numbers as they get them.
PASSING = ("Cast", "Identity", "Gather", "ArrayFeatureExtractor", "Concat", "Imputer", "Equal", "Where")
TOLERANCE = 1e-5  # of the answers' largest size
FIX = (
    'set dtype = "float32" in [input] if clients\' numbers are exact in it, as whole numbers to 2^24 are; or fit the '
    "model to rounded numbers"
)
COLUMNS_FIX = (
    "fit the model to numbers that float32 holds, as frame.astype({'age': 'float32'}) gives them; or set "
    'dtype = "float32" for columns of which clients send such numbers'
)
Precision = Literal["float32", "float64"]


@dataclass(frozen=True)
class ChangedAnswers:
    """How many rows get another answer in float32, among the definition's and among those beside thresholds."""

    rows: int
    of_rows: int
    beside: int
    of_beside: int


def choose_dtype(state: ExportState) -> None:
    """Put the type of a fitted model's table into the definition; DefinitionError if it demands float32 in vain."""
    options, model = state.definition.input, state.model
    if not isinstance(options, TableOptions) or not isinstance(model, TreeSource) or state.definition.handler:
        return
    rows = islice((row.value for row in chain.from_iterable(state.split.subsets.values())), MOST_ROWS)
    if options.tensors == "columns":
        check_columns(state, options, rows)
        return
    if options.dtype == "float64":
        return
    exact = tables(options, rows, "float64")
    if not len(exact):
        return
    changed = compare_precisions(model, exact)
    if options.dtype == "float32" and changed.rows:
        raise DefinitionError(
            f"in float32, {changed.rows} of {changed.of_rows} rows get another answer of {model.name} than in float64",
            where="input.dtype",
            fix='set dtype = "float64", or leave it out',
        )
    if options.dtype == "auto":
        _take_float64(state, options, exact, changed)


def _take_float64(state: ExportState, options: TableOptions, exact: Array, changed: ChangedAnswers) -> None:
    """Put float64 into the definition where there is a reason; DefinitionError if answers change and no graph is right.

    Without a right graph in float64, trees behind steps that compute stay in float32, and parity judges its answers.
    """
    is_changed, model = bool(changed.rows or changed.beside), state.model
    if not isinstance(model, TreeSource) or not (is_changed or has_inner_trees(model, exact)):
        return
    fault = float64_fault(model, exact)
    if fault and is_changed:
        raise DefinitionError(
            f"{describe(changed)}; and {model.summary} can't be served in float64: {fault}",
            where=state.source_place,
            fix=FIX,
        )
    if not fault:
        state.definition = msgspec.structs.replace(
            state.definition, input=msgspec.structs.replace(options, dtype="float64")
        )
        why = describe(changed) if is_changed else "trees stand behind steps that compute, whose rounding would count"
        state.say(f"      numbers are served in float64: {why}")


def check_columns(state: ExportState, options: TableOptions, values: Iterable[Any]) -> None:
    """Say how many rows' outputs tensors of float32 change; DefinitionError if more answers than the budget allows.

    A column that asks for float32 is taken so. No graph takes float64 here: its steps have no kernels for it.
    """
    numbers = {column.name for column in options.typed_columns if column.dtype is None and column.own_dtype in FLOATS}
    columns = tuple(
        msgspec.structs.replace(column, dtype="float64") if column.name in numbers else column
        for column in options.typed_columns
    )
    exact = tensors_of(msgspec.structs.replace(options, columns=columns), values)
    if not numbers or not exact:
        return
    rounded = exact | {name: exact[name].astype(np.float32) for name in numbers}
    [(name, expected)], [others] = state.model.run(exact).items(), state.model.run(rounded).values()
    moved = answers_differ(expected, others)
    if not moved.any():
        return
    changed = int((expected.argmax(axis=1) != others.argmax(axis=1)).sum() if name == SCORES else moved.sum())
    what = (
        f"in float32, {int(moved.sum())} of {len(moved)} rows get other {name} of {state.model.name} than in float64, "
        f"and {changed} another answer"
    )
    if changed > budget_of(state.definition) * len(moved):
        raise DefinitionError(what, where="input.columns", fix=COLUMNS_FIX)
    state.say(f"      {what}")


def describe(changed: ChangedAnswers) -> str:
    """Describe what float32 changes, for a person."""
    return (
        f"in float32, {changed.rows} of {changed.of_rows} rows get another answer, and {changed.beside} of "
        f"{changed.of_beside} rows beside thresholds"
    )


def float64_fault(model: TreeSource, exact: Array) -> str:
    """Return why no graph in float64 answers as the model does; empty if one does."""
    rows = {FEATURES: np.concatenate([exact, rows_beside_thresholds(model, exact)])}
    try:
        proto, _ = model.graph(rows, {})
        with Scratch() as scratch:
            path = scratch / "double.onnx"
            path.write_bytes(proto.SerializeToString())
            [outputs] = run_graph(path, [rows])
    except (CheckFailed, GraphCrashed) as error:
        return str(error).splitlines()[0]
    [expected], [answers] = model.run(rows).values(), outputs.values()
    changed = int(answers_differ(expected, answers).sum())
    return f"{changed} of {len(expected)} rows get another answer there too" if changed else ""


def tables(options: TableOptions, values: Iterable[Any], dtype: Precision) -> Array:
    """Return rows as the graph would get them, shape (rows, columns)."""
    tensors = tensors_of(msgspec.structs.replace(options, dtype=dtype), values)
    return tensors.get(FEATURES, np.empty((0, len(options.columns))))


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


def compare_precisions(model: TreeSource, exact: Array) -> ChangedAnswers:
    """Count the rows that get another answer in float32."""
    beside = rows_beside_thresholds(model, exact)
    return ChangedAnswers(count_changed(model, exact), len(exact), count_changed(model, beside), len(beside))


def count_changed(model: TreeSource, exact: Array) -> int:
    """Return how many rows get another answer once their numbers were rounded to float32."""
    if not len(exact):
        return 0
    [answers], [rounded] = (
        model.run({FEATURES: table}).values() for table in (exact, exact.astype(np.float32).astype(np.float64))
    )
    return int(answers_differ(answers, rounded).sum())


def answers_differ(expected: Array, answers: Array) -> Array:
    """Return which rows' answers differ by more than arithmetic explains, shape (rows,)."""
    differences = np.abs(expected.astype(np.float64) - answers).reshape(len(expected), -1).max(axis=1)
    # Written so that a value that is no number differs too.
    return np.asarray(~(differences <= TOLERANCE * max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))))


def rows_beside_thresholds(model: TreeSource, exact: Array) -> Array:
    """Return rows, each with one number right beside a threshold; none where trees don't compare the columns."""
    rows = []
    for number, (column, threshold) in enumerate(thresholds(model, exact)):
        step = np.spacing(np.float32(threshold)).astype(np.float64)
        for side in SIDES:
            row = exact[number % len(exact)].copy()
            row[column] = threshold + abs(step) * side
            rows.append(row)
    return np.array(rows).reshape(-1, exact.shape[1])


def has_inner_trees(model: TreeSource, exact: Array) -> bool:
    """Return whether trees compare what other steps computed, and not the columns themselves."""
    graph = float32_graph(model, exact)
    if graph is None:
        return False
    makers = {output: node for node in graph.node for output in node.output}
    return any(_is_computed(node.input[0], makers) for node in graph.node if node.op_type in TREES)


def _is_computed(name: str, makers: Mapping[str, onnx.NodeProto]) -> bool:
    maker = makers.get(name)
    if maker is None:
        return False
    return maker.op_type not in PASSING or any(_is_computed(source, makers) for source in maker.input)


def float32_graph(model: TreeSource, exact: Array) -> onnx.GraphProto | None:
    """Return the graph of a model in float32, None if it can't be converted; the step `trace` says why."""
    try:
        return convert(model.model, model.name, {FEATURES: exact[:1].astype(np.float32)}).graph
    except Exception:  # noqa: BLE001 - whatever a converter raises
        return None


def thresholds(model: TreeSource, exact: Array) -> list[tuple[int, float]]:
    """Return columns and thresholds in float32 of the trees that compare columns themselves, some of very many."""
    graph = float32_graph(model, exact)
    if graph is None:
        return []
    known = dict[tuple[int, float], None]()
    for node in graph.node:
        if node.op_type not in TREES or node.input[0] != graph.input[0].name:
            continue
        attributes = {attribute.name: attribute for attribute in node.attribute}
        places = zip(
            attributes["nodes_featureids"].ints,
            attributes["nodes_values"].floats,
            attributes["nodes_modes"].strings,
            strict=True,
        )
        known |= dict.fromkeys((column, value) for column, value, mode in places if mode.decode() == LEQ)
    every = list(known)
    return every[:: max(1, len(every) // MOST_THRESHOLDS)]
