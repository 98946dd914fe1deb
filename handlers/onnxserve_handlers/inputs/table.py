"""Table rows: each row is a list of numbers in column order, or an object by column name."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..protocols.body import JSON, Body, json_type, unwrap
from ..request import Request
from ..signature import Schema, object_schema
from . import InputHooks, InputOptions

NUMBER: Schema = {"type": "number", "minimum": -1e30, "maximum": 1e30}  # float32 holds no more than 3.4e38
FLOAT32_MAX = float(np.finfo(np.float32).max)


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object with `instances`, its first field, or with one row under a name; `rows_decoder` adds the fields."""

    def rows(self) -> list[list[float]] | None:
        """Return the rows of the object's only field, None where there are several or no fields."""
        values = msgspec.structs.astuple(self)
        if values.count(None) != len(values) - 1:
            return None
        return values[0] or [value for value in values if value]


def rows_decoder(columns: int, max_rows: int, keys: Sequence[str]) -> msgspec.json.Decoder[Any]:
    """Return a decoder for a row or an object of rows with the right number of columns; it refuses anything else."""
    row = Annotated[list[float], msgspec.Meta(min_length=columns, max_length=columns)]
    rows = Annotated[list[row], msgspec.Meta(min_length=1, max_length=max_rows)]
    fields = [("instances", rows | None, None), *((key, row | None, None) for key in keys)]
    document = msgspec.defstruct("Document", fields, bases=(Document,))
    return msgspec.json.Decoder(row | document)


class TableOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which columns a row has."""

    kind: Literal["table"] = "table"
    """Rows are numbers by column; the graph's input `features` is float32, shape (rows, columns)."""
    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Names of the columns of a table, in the module's order."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.columns


class TableInput(InputHooks):
    """Rows are numbers, one for each of the signature's columns."""

    input_options = TableOptions
    row_keys: tuple[str, ...] = ("features", "row", "data")

    def prepare(self) -> None:
        """Remember the columns in the order of the graph's input, and make the decoder for well-formed rows."""
        self.columns = cast("TableOptions", self.signature.input).columns
        self.known = frozenset(self.columns)
        # A column's name stands before the column's value, never before a row.
        self.row_keys = tuple(key for key in type(self).row_keys if key not in self.known)
        self.packed = struct.Struct(f"={len(self.columns)}f")  # = raises OverflowError, @ gives infinity
        # Well-formed rows are decoded straight to numbers; others take the slower way, whose errors say what is wrong.
        default = type(self).check is TableInput.check
        max_rows = self.signature.input.max_rows
        self.decoder = rows_decoder(len(self.columns), max_rows, self.row_keys) if default else None

    def read(self, body: Body) -> Request:
        """Decode and check numbers in column order at once; other bodies are read as in every handler."""
        if self.decoder is not None and body.media_type == JSON and body.content is not None:
            try:
                document: Any = self.decoder.decode(body.content)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return self._read_any(body)
            rows = [document] if isinstance(document, list) else document.rows()
            return Request(rows=rows) if rows else self._read_any(body)
        return self._read_any(body)

    def _read_any(self, body: Body) -> Request:
        request: Request = super().read(body)
        return request

    def check(self, instance: Any, where: str) -> list[float]:
        """Return one finite number per column; raises InvalidRow for a missing or unknown column."""
        instance = unwrap(instance, self.row_keys)
        if isinstance(instance, dict):
            instance = self._by_name(instance, where)
        if not isinstance(instance, list):
            raise InvalidRow(
                f"expected a list or an object, got {json_type(instance)}",
                where=where,
                fix=f"send {len(self.columns)} numbers",
            )
        if len(instance) != len(self.columns):
            raise InvalidRow(
                f"{len(instance)} values, {len(self.columns)} are expected",
                where=where,
                fix="columns are " + ", ".join(self.columns),
            )
        return [self._number(value, f"{where}.{name}") for name, value in zip(self.columns, instance, strict=True)]

    def _by_name(self, instance: dict[str, Any], where: str) -> list[Any]:
        unknown, missing = sorted(set(instance) - self.known), [c for c in self.columns if c not in instance]
        if unknown or missing:
            parts = [f"unknown columns {unknown[:5]}"] if unknown else []
            parts += [f"missing columns {missing[:5]}"] if missing else []
            raise InvalidRow(" and ".join(parts), where=where, fix="columns are " + ", ".join(self.columns))
        return [instance[name] for name in self.columns]

    def _number(self, value: Any, where: str) -> float:
        # bool is an int in Python, but not a number here.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRow(f"expected a number, got {json_type(value)}", where=where)
        # The comparison is also false for NaN, and for integers that are too long for a float.
        if not abs(value) <= FLOAT32_MAX:
            raise InvalidRow("the number is not finite in float32", where=where)
        return float(value)

    def columnar(self) -> bool:
        """Return whether `check_columns` takes the rows: not if a subclass has a `check` or `tensors` of its own."""
        cls = type(self)
        return cls.check is TableInput.check and cls.tensors is TableInput.tensors

    def check_columns(
        self, columns: Mapping[str, npt.NDArray[Any]]
    ) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.bool_]]:
        """Return `features`, float32, shape (rows, columns), and which rows are finite in it, shape (rows,)."""
        features = np.empty((len(columns[self.columns[0]]), len(self.columns)), np.float32)
        with np.errstate(over="ignore"):
            for index, name in enumerate(self.columns):
                features[:, index] = columns[name]
        finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(features).all(axis=1))
        return {"features": features}, finite

    def sample(self, draws: np.random.Generator) -> list[float]:
        """Return a row of random numbers whose sizes range over two decades."""
        size = len(self.columns)
        return [float(value) for value in draws.normal(size=size) * 10.0 ** draws.uniform(-1, 1, size)]

    def measures(self, rows: Sequence[list[float]]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return every column, shape (rows,)."""
        table = np.array(rows, np.float64)
        return {name: table[:, index] for index, name in enumerate(self.columns)}

    def tensors(self, rows: Sequence[list[float]]) -> dict[str, npt.NDArray[np.float32]]:
        """Return `features`, float32, shape (rows, columns)."""
        features = self.buffers.take("features", (len(rows), len(self.columns)), np.float32)
        memory, offset = features.data.cast("B"), 0
        try:
            for row in rows:
                self.packed.pack_into(memory, offset, *row)
                offset += self.packed.size
        except OverflowError as error:  # JSON has no infinity, but it has numbers beyond float32
            index = offset // self.packed.size
            column = next(c for c, value in zip(self.columns, rows[index], strict=True) if abs(value) > FLOAT32_MAX)
            where = f"instances[{index}].{column}"
            raise InvalidRow("the number is not finite in float32", where=where) from error
        return {"features": features}

    def row_schema(self) -> Schema:
        """Return numbers in column order or by name."""
        count = len(self.columns)
        by_order: Schema = {"type": "array", "items": NUMBER, "minItems": count, "maxItems": count}
        return {"oneOf": [by_order, object_schema(dict.fromkeys(self.columns, NUMBER), self.columns)]}
