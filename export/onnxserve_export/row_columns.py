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
        _check_table(named, table, available, labels, where)
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
    fix = f"say which is which: {choice_of(rest[:1], '' if labelled else rest[1])}"
    if kind == "text":
        both = literal(list(rest[:2]))
        fix += f"; a row of two texts has --set 'rows.input={both}' --set input.pairs=true"
    if kind == "tensors":
        fix += f"; if all of them are one row's numbers, import the model with {naming_option(rest)}"
    what = f"several columns may be the input: {', '.join(rest[:SHOWN])}"
    raise DefinitionError(what, where=where, fix=fix)


def choice_of(inputs: Sequence[str], label: str) -> str:
    """Return how to name the columns of the input, and the label's unless it is empty."""
    values = {"input": literal(list(inputs))}
    if label:
        values["label"] = literal(label)
    options = " ".join(f"--set {quote(f'rows.{name}={value}')}" for name, value in values.items())
    lines = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"such as {options} of an import, or {lines} in [rows] of model.toml, beside `location`"


def naming_option(names: Sequence[str]) -> str:
    """Return the option of an import that gives a table's columns these names."""
    return f"--columns {quote(','.join(names))}"


def unnamed(count: int) -> list[str]:
    """Return the names of columns of which a fitted model knows only the number."""
    return [f"x{index}" for index in range(count)]


def _check_present(names: Sequence[str], available: Sequence[str], where: str) -> None:
    if missing := [name for name in names if name not in available]:
        raise DefinitionError(
            f"missing columns: {', '.join(missing[:SHOWN])}",
            where=where,
            fix=f"{_has(available)}; say which is which: {choice_of(available[:1], ''.join(available[1:2]))}",
        )


def _check_table(
    named: Sequence[str], table: Sequence[str], available: Sequence[str], labels: Sequence[str], where: str
) -> None:
    missing = [name for name in named or table if name not in available]
    if named and len(named) != len(table):
        what = f"rows.input names {len(named)} columns, input.columns {len(table)}"
    elif missing:
        what = f"missing columns: {', '.join(missing[:SHOWN])}"
    else:
        return
    raise DefinitionError(what, where=where, fix=f"{_has(available)}; {_table_choice(table, available, labels)}")


def _table_choice(table: Sequence[str], available: Sequence[str], labels: Sequence[str]) -> str:
    others = [name for name in available if name not in {*table, *labels}]
    lacking = [name for name in table if name not in available]
    if len(others) < len(lacking):
        beside = " beside the label" if labels else ""
        return f"a row has {len(table)} columns{beside}: give rows that have each of {', '.join(table[:SHOWN])}"
    substitutes = dict(zip(lacking, others, strict=False))
    label = "" if labels else "".join(others[len(lacking) :][:1])
    names = [substitutes.get(name, name) for name in table]
    chosen = f"name a column of the file for each of {', '.join(table[:SHOWN])}, in this order: "
    if [*table] == unnamed(len(table)):  # clients would have to send these names too
        chosen = f"the model knows no names, so import it with {naming_option(names)}; or {chosen}"
    return chosen + choice_of(names, label)


def _has(available: Sequence[str]) -> str:
    return f"it has {', '.join(available[:SHOWN])}"
