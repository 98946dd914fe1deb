"""Which columns of a file make a row's input, and which its label."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

from onnxserve.definition import Definition
from onnxserve.definition.toml_literal import literal
from onnxserve.errors import DefinitionError

# Names that a column of one value a row may have, as `golden.jsonl` and `onnxserve batch` know them.
SINGLE = ("input", "text", "image", "sound", "audio", "b64", "data", "content", "bytes")
SHOWN = 30


class Columns(NamedTuple):
    """The file's columns by use. `names` are the model's names of the inputs, in the same order."""

    inputs: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    is_table: bool


class Wanted(NamedTuple):
    """What a definition says of its rows' columns.

    `inputs` and `labels` are the file's, empty and `label` where it doesn't name them; `own` are those of the model's
    rows, empty where a row is one value; `numeric` is whether they hold numbers; `kind` is the input's.
    """

    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    own: tuple[str, ...]
    numeric: bool
    kind: str

    @classmethod
    def of(cls, definition: Definition) -> Wanted:
        """Return what a definition says."""
        rows, options = definition.rows, definition.input
        labels = (rows.label,) if isinstance(rows.label, str) else rows.label
        return cls(rows.input, labels, table_columns(definition), options.numeric, options.kind)


def choose_columns(available: Sequence[str], wanted: Wanted, where: str) -> Columns:
    """Return the columns that the definition names, or else those that fit; DefinitionError if none or several do."""
    labels = _labels(available, wanted.labels, where)
    named, table = wanted.inputs, wanted.own
    if not named and SINGLE[0] in available:  # a row as a client sends it, as in golden.jsonl
        return Columns((SINGLE[0],), (SINGLE[0],), labels, is_table=False)
    if table:
        if named and len(named) != len(table):
            raise DefinitionError(
                f"rows.input names {len(named)} columns, input.columns {len(table)}",
                where=where,
                fix="name a column of the file for each of " + ", ".join(table[:SHOWN]),
            )
        _check_present(named or table, available, where)
        return Columns(named or table, table, labels, is_table=wanted.numeric)
    rest = [name for name in available if name not in labels]
    inputs = named or _inputs(rest, where, wanted.kind, labelled=bool(labels))
    _check_present(inputs, available, where)
    return Columns(inputs, inputs, labels, is_table=False)


def table_columns(definition: Definition) -> tuple[str, ...]:
    """Return the columns of a table's rows, with the keys of a feature store in place of the columns it has."""
    spec, columns = definition.features, definition.input.column_names
    if spec is None:
        return columns
    return (*spec.entities, spec.timestamp, *(name for name in columns if name not in spec.columns))


def _labels(available: Sequence[str], labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    if labels == ("label",) and "label" not in available:
        return ()  # nobody asked for it by name: the rows have no labels
    _check_present(labels, available, where)
    return labels


def _inputs(rest: Sequence[str], where: str, kind: str, *, labelled: bool) -> tuple[str, ...]:
    single = [name for name in SINGLE if name in rest][:1]
    if single or len(rest) == 1:
        return tuple(single or rest)
    if not rest:
        raise DefinitionError("there is no column but the label", where=where, fix="add a column with the input")
    fix = f"say which is which: {choice_of(rest, labelled=labelled)}"
    if kind == "text":
        both = literal(list(rest[:2]))
        fix += f"; a row of two texts has --set 'rows.input={both}' --set input.pairs=true"
    what = f"several columns may be the input: {', '.join(rest[:SHOWN])}"
    raise DefinitionError(what, where=where, fix=fix)


def choice_of(columns: Sequence[str], *, labelled: bool) -> str:
    """Return how to name the columns of the input and the label, with some that are there.

    `labelled` is whether a column is known to be the label.
    """
    values = {"input": literal(list(columns[:1]))}
    if not labelled and len(columns) > 1:
        values["label"] = literal(columns[1])
    options = " ".join(f"--set {quote(f'rows.{name}={value}')}" for name, value in values.items())
    lines = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"such as {options} of an import, or {lines} in [rows] of model.toml, beside `location`"


def _check_present(names: Sequence[str], available: Sequence[str], where: str) -> None:
    if missing := [name for name in names if name not in available]:
        raise DefinitionError(
            f"missing columns: {', '.join(missing[:SHOWN])}",
            where=where,
            fix=f"it has {', '.join(available[:SHOWN])}; say which is which: {choice_of(available, labelled=False)}",
        )
