"""Table rows in, label or values out: lists in column order, or objects by column name."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..handler import Handler
from ..protocols.body import JSON, Body, json_type, unwrapped
from ..request import Asked

FLOAT32_MAX = float(np.finfo(np.float32).max)


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object with `instances`, the first field, or one row under one of its names; `rows_decoder` adds them."""

    def rows(self) -> list[list[float]] | None:
        """The rows of the only field that is there, None when that isn't one."""
        values = msgspec.structs.astuple(self)
        if values.count(None) != len(values) - 1:
            return None
        return values[0] or [value for value in values if value]


def rows_decoder(columns: int, max_rows: int, keys: Sequence[str]) -> msgspec.json.Decoder[Any]:
    """Decodes a row, or an object of rows, that has the right shape; refuses any other."""
    row = Annotated[list[float], msgspec.Meta(min_length=columns, max_length=columns)]
    rows = Annotated[list[row], msgspec.Meta(min_length=1, max_length=max_rows)]
    fields = [("instances", rows | None, None), *((key, row | None, None) for key in keys)]
    document = msgspec.defstruct("Document", fields, bases=(Named,))
    return msgspec.json.Decoder(row | document)


class TabularClassifier(Handler):
    """Rows are numbers, one for each of the signature's columns."""

    row_keys: tuple[str, ...] = ("features", "row", "data")

    def prepare(self) -> None:
        """Remember the columns, in the order of the graph's input, and the decoder for rows that are as they should."""
        self.columns = self.signature.input.columns
        self.known = frozenset(self.columns)
        self.row_keys = tuple(key for key in type(self).row_keys if key not in self.known)  # a column is its own value
        self.packed = struct.Struct(f"={len(self.columns)}f")  # = raises OverflowError, @ gives infinity
        # Straight to numbers of the right count; whatever else comes takes the slower way that says what is wrong.
        plain = type(self).check is TabularClassifier.check
        self.decoder = rows_decoder(len(self.columns), self.signature.input.max_rows, self.row_keys) if plain else None

    def read(self, body: Body) -> Asked:
        """Numbers in column order are decoded and checked in one go."""
        if self.decoder is not None and body.media_type == JSON and body.content is not None:
            try:
                found: Any = self.decoder.decode(body.content)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return super().read(body)
            rows = [found] if isinstance(found, list) else found.rows()
            return Asked(rows=rows) if rows else super().read(body)
        return super().read(body)

    def check(self, instance: Any, where: str) -> list[float]:
        """One finite number a column; no column missing, none unknown."""
        instance = unwrapped(instance, self.row_keys)
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
        # bool is an int in Python, and a wrong dtype here.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRow(f"expected a number, got {json_type(value)}", where=where)
        # Also false for NaN, and for integers too long for a float.
        if not abs(value) <= FLOAT32_MAX:
            raise InvalidRow("the number is not finite in float32", where=where)
        return float(value)

    def columnar(self) -> bool:
        """Unless a subclass looks at rows itself."""
        cls = type(self)
        return cls.check is TabularClassifier.check and cls.tensors is TabularClassifier.tensors

    def check_columns(
        self, columns: Mapping[str, npt.NDArray[Any]]
    ) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.bool_]]:
        """`features`, float32, shape (batch, columns); rows must be finite in it."""
        features = np.empty((len(columns[self.columns[0]]), len(self.columns)), np.float32)
        with np.errstate(over="ignore"):
            for place, name in enumerate(self.columns):
                features[:, place] = columns[name]
        good: npt.NDArray[np.bool_] = np.asarray(np.isfinite(features).all(axis=1))
        return {"features": features}, good

    def measures(self, rows: Sequence[list[float]]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Every column."""
        table = np.array(rows, np.float64)
        return {name: table[:, place] for place, name in enumerate(self.columns)}

    def tensors(self, rows: Sequence[list[float]]) -> dict[str, npt.NDArray[np.float32]]:
        """`features`, float32, shape (batch, columns)."""
        features = self.buffers.take("features", (len(rows), len(self.columns)), np.float32)
        memory, at = features.data.cast("B"), 0
        try:
            for row in rows:
                self.packed.pack_into(memory, at, *row)
                at += self.packed.size
        except OverflowError as error:  # JSON has no infinity, but numbers beyond float32
            place = at // self.packed.size
            column = next(c for c, value in zip(self.columns, rows[place], strict=True) if abs(value) > FLOAT32_MAX)
            where = f"instances[{place}].{column}"
            raise InvalidRow("the number is not finite in float32", where=where) from error
        return {"features": features}
