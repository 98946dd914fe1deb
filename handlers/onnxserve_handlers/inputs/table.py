"""Table rows: each row is a list of values in column order, or an object by column name."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from ..errors import InvalidRow
from ..protocols.body import JSON, MALFORMED, Body, json_type, unwrap
from ..request import Request
from ..signature import Schema, object_schema
from . import InputHooks, InputOptions
from .table_cells import (
    FINITE_FIX,
    MISSING,
    Cell,
    CellReader,
    cell_measures,
    cell_schema,
    graph_values,
    sample_cell,
    value_fault,
)
from .table_columns import NAN_FIX, Column, as_column

Array = npt.NDArray[Any]
FEATURES = "features"  # the one tensor of a table
NUMBERS = {int, float}  # bool, which is an int in Python, is no number here
FORMATS = {"float32": "f", "float64": "d"}  # of struct


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object with `instances`, its first field, or with one row under a name; `rows_decoder` adds the fields."""

    def rows(self) -> list[list[float]] | None:
        """Return the rows of the object's only field, None where there are several or no fields."""
        values = msgspec.structs.astuple(self)
        if values.count(UNSET) != len(values) - 1:
            return None
        return [value for value in values if value is not UNSET] if values[0] is UNSET else values[0]


def rows_decoder(columns: int, max_rows: int, keys: Sequence[str]) -> msgspec.json.Decoder[Any]:
    """Return a decoder for a row or an object of rows with the right number of columns; it refuses anything else."""
    row = Annotated[list[float], msgspec.Meta(min_length=columns, max_length=columns)]
    rows = Annotated[list[row], msgspec.Meta(min_length=1, max_length=max_rows)]
    fields = [("instances", rows | UnsetType, UNSET), *((key, row | UnsetType, UNSET) for key in keys)]
    document = msgspec.defstruct("Document", fields, bases=(Document,))
    return msgspec.json.Decoder(row | document)


class TableOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which columns a row has, and which tensors they make."""

    kind: Literal["table"] = "table"
    """Rows have a value for each column; the graph's input is `features`, shape (rows, columns), unless `tensors` says
    otherwise."""
    columns: Annotated[tuple[str | Column, ...], msgspec.Meta(min_length=1)]
    """Columns of a table, in the module's order: names of numbers, or tables for other types."""
    tensors: Literal["one", "columns"] = "one"
    """Inputs of the graph: `features` for all columns, or one of shape (rows, 1) for each column, by its name."""
    dtype: Literal["auto", "float32", "float64"] = "auto"
    """Type of `features`; `auto` means float32, or float64 for trees whose answers float32 would change.
    """

    def __post_init__(self) -> None:
        """Raise ValueError, which names the column, for columns that don't fit together."""
        if faults := [*filter(None, map(value_fault, self.typed_columns)), *_layout_faults(self)]:
            raise ValueError("; ".join(faults))

    @property
    def typed_columns(self) -> tuple[Column, ...]:
        """The columns with their types."""
        return tuple(map(as_column, self.columns))

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.typed_columns)

    @property
    def column_types(self) -> Mapping[str, str]:
        """The types of the columns that take more or less than any number, by name."""
        return {column.name: column.type for column in self.typed_columns if column != Column(column.name)}

    @property
    def nullable_columns(self) -> frozenset[str]:
        """The columns that take null."""
        return frozenset(column.name for column in self.typed_columns if column.nullable)

    @property
    def features_dtype(self) -> Literal["float32", "float64"]:
        """The type of `features`."""
        return "float64" if self.dtype == "float64" else "float32"

    @property
    def is_plain(self) -> bool:
        """Whether rows are numbers in one tensor: these can be scored as arrays."""
        return self.tensors == "one" and all(column.is_plain for column in self.typed_columns)

    @property
    def measure_edges(self) -> Mapping[str, tuple[float, ...]]:
        """The edges of the measures that have bins of their own: categories, booleans, and whether a value is null."""
        edges = {column.name: column.edges for column in self.typed_columns if column.edges}
        return edges | {name + MISSING: (0.5,) for name in self.nullable_columns}


def _layout_faults(options: TableOptions) -> list[str]:
    """Return what doesn't fit between the columns and the graph's inputs."""
    names = options.column_names
    faults = [f"two columns are called {name!r}" for name in dict.fromkeys(names) if names.count(name) > 1]
    for column in options.typed_columns:
        if options.tensors == "columns" and column.needs_nan:
            faults.append(f"column {column.name!r}: {column.own_dtype} has no NaN: {NAN_FIX}")
        if options.tensors == "one" and (column.dtype or column.type == "text"):
            what = f"dtype = {column.dtype!r}" if column.dtype else "a column of texts"
            faults.append(f"column {column.name!r}: {what} needs a tensor of its own: set tensors = 'columns'")
    return faults


class TableInput(InputHooks):
    """Rows are values, one for each of the signature's columns."""

    input_options = TableOptions
    row_keys: tuple[str, ...] = (FEATURES, "row", "data")
    is_plain = True  # whether all columns are numbers in one tensor

    def prepare(self) -> None:
        """Remember the columns in the order of the graph's input, and make the decoder for well-formed rows."""
        options = cast("TableOptions", self.signature.input)
        self.columns, self.typed_columns = options.column_names, options.typed_columns
        self.dtype, self.by_column = options.features_dtype, options.tensors == "columns"
        self.known = frozenset(self.columns)
        self.readers = [
            CellReader(column, column.own_dtype if self.by_column else self.dtype) for column in self.typed_columns
        ]
        # A column's name stands before the column's value, never before a row.
        self.row_keys = tuple(key for key in type(self).row_keys if key not in self.known)
        # = raises OverflowError, @ gives infinity
        self.packed = struct.Struct(f"={len(self.columns)}{FORMATS[self.dtype]}")
        self.is_plain = options.is_plain
        self.only_numbers = self.is_plain and not options.nullable_columns
        self.largest = float(np.finfo(self.dtype).max)
        # Well-formed rows are decoded straight to numbers; others take the slower way, whose errors say what is wrong.
        default = type(self).check is TableInput.check and self.only_numbers
        max_rows = self.signature.input.max_rows
        self.decoder = rows_decoder(len(self.columns), max_rows, self.row_keys) if default else None

    def read(self, body: Body) -> Request:
        """Decode and check numbers in column order at once; other bodies are read as in every handler."""
        if self.decoder is not None and body.media_type == JSON and body.content is not None and not body.protocol:
            try:
                document: Any = self.decoder.decode(body.content)
            except MALFORMED:
                return self._read_any(body)
            rows = [document] if isinstance(document, list) else document.rows()
            return Request(rows=rows) if rows else self._read_any(body)
        return self._read_any(body)

    def _read_any(self, body: Body) -> Request:
        request: Request = super().read(body)
        return request

    def check(self, instance: Any, where: str) -> list[Cell]:
        """Return one checked value per column; raises InvalidRow for a missing or unknown column."""
        instance = unwrap(instance, self.row_keys)
        if isinstance(instance, dict):
            instance = self._by_name(instance, where)
        if not isinstance(instance, list):
            raise InvalidRow(
                f"expected a list or an object, got {json_type(instance)}",
                where=where,
                fix=f"send {len(self.columns)} values",
            )
        if len(instance) != len(self.columns):
            raise InvalidRow(
                f"{len(instance)} values, {len(self.columns)} are expected",
                where=where,
                fix="columns are " + ", ".join(self.columns),
            )
        if self.only_numbers and all(type(value) in NUMBERS and abs(value) <= self.largest for value in instance):
            return [float(value) for value in instance]
        return [
            reader.read(value, f"{where}.{reader.column.name}")
            for reader, value in zip(self.readers, instance, strict=True)
        ]

    def _by_name(self, instance: dict[str, Any], where: str) -> list[Any]:
        unknown, missing = sorted(set(instance) - self.known), [c for c in self.columns if c not in instance]
        if unknown or missing:
            parts = [f"unknown columns {unknown[:5]}"] if unknown else []
            parts += [f"missing columns {missing[:5]}"] if missing else []
            raise InvalidRow(" and ".join(parts), where=where, fix="columns are " + ", ".join(self.columns))
        return [instance[name] for name in self.columns]

    def columnar(self) -> bool:
        """Return whether `check_columns` takes the rows: numbers, unless a subclass overrides `check` or `tensors`."""
        cls = type(self)
        return cls.check is TableInput.check and cls.tensors is TableInput.tensors and self.is_plain

    def check_columns(self, columns: Mapping[str, Array]) -> tuple[dict[str, Array], npt.NDArray[np.bool_]]:
        """Return `features`, shape (rows, columns), and which rows are finite in it or null where that is accepted."""
        features = np.empty((len(columns[self.columns[0]]), len(self.columns)), self.dtype)
        valid = np.ones(len(features), np.bool_)
        with np.errstate(over="ignore"):
            for index, column in enumerate(self.typed_columns):
                features[:, index] = columns[column.name]
                valid &= np.isfinite(features[:, index]) | (column.nullable & np.isnan(features[:, index]))
        return {FEATURES: features}, valid

    def sample(self, draws: np.random.Generator) -> list[Any]:
        """Return a row of random values; sizes of numbers range over two decades."""
        return [sample_cell(column, draws) for column in self.typed_columns]

    def measures(self, rows: Sequence[Sequence[Cell]]) -> Mapping[str, Array]:
        """Return every column's values and which are null, shape (rows,)."""
        if self.only_numbers:
            table = np.array(rows, np.float64)
            return {name: table[:, index] for index, name in enumerate(self.columns)}
        measures = dict[str, Array]()
        for column, cells in zip(self.typed_columns, zip(*rows, strict=True), strict=True):
            measures |= cell_measures(column, cells)
        return measures

    def tensor_rows(self, tensors: Mapping[str, Array]) -> list[Any]:
        """Return the values of each row where `check` gives such ones: numbers in one tensor, without a subclass's."""
        return list(tensors[FEATURES].tolist()) if self.columnar() else []

    def tensors(self, rows: Sequence[Sequence[Cell]]) -> dict[str, Array]:
        """Return `features`, shape (rows, columns), or a tensor for each column, shape (rows, 1)."""
        if self.is_plain:
            return {FEATURES: self._packed_rows(rows)}
        cells = zip(self.typed_columns, zip(*rows, strict=True), strict=True)
        if self.by_column:
            return {column.name: self._own_tensor(column, values) for column, values in cells}
        features = self.buffers.take(FEATURES, (len(rows), len(self.columns)), self.dtype)
        for index, (column, values) in enumerate(cells):
            features[:, index] = graph_values(column, values)
        return {FEATURES: features}

    @staticmethod
    def _own_tensor(column: Column, values: Sequence[Cell]) -> Array:
        array = graph_values(column, values)[:, None]
        return array if column.own_dtype == "string" else array.astype(column.own_dtype)

    def _packed_rows(self, rows: Sequence[Sequence[Cell]]) -> Array:
        features = self.buffers.take(FEATURES, (len(rows), len(self.columns)), self.dtype)
        memory, offset = features.data.cast("B"), 0
        try:
            for row in rows:
                self.packed.pack_into(memory, offset, *row)
                offset += self.packed.size
        except OverflowError as error:  # JSON has no infinity, but it has numbers beyond float32
            index = offset // self.packed.size
            for reader, value in zip(self.readers, rows[index], strict=True):
                reader.read(value, f"instances[{index}].{reader.column.name}")  # raises for the number at fault
            raise InvalidRow("the numbers are not finite", where=f"instances[{index}]", fix=FINITE_FIX) from error
        return features

    def row_schema(self) -> Schema:
        """Return the schema of values in column order or by name."""
        count, schemas = len(self.columns), {column.name: cell_schema(column) for column in self.typed_columns}
        by_order: Schema = {"type": "array", "minItems": count, "maxItems": count}
        distinct = list({str(schema): schema for schema in schemas.values()}.values())
        by_order |= {"items": distinct[0]} if len(distinct) == 1 else {"prefixItems": [*schemas.values()]}
        return {"oneOf": [by_order, object_schema(schemas, self.columns)]}
