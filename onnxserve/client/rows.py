"""Rows in JSON: one instance a row, as docs/reference/requests.md lists them."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from onnxserve.errors import RowError

Array = npt.NDArray[Any]
TABLE_ROWS = "table.to_dict('records') in pandas, table.to_dicts() in polars"
Rows = Sequence[Any] | Array | Mapping[str, Array]


def _plain(value: Any) -> Any:
    """Return numpy's numbers and arrays as Python's; msgspec asks for what it doesn't know."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a row can't hold a {type(value).__name__}: use JSON's types, bytes, dataclasses or arrays")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def refuse_single_row(rows: Any) -> None:
    """Raise TypeError for what Python iterates over, though its parts aren't rows: a text, an object, a table."""
    if isinstance(rows, str | bytes | bytearray | memoryview | Mapping):
        raise TypeError(f"expected a list of rows, got {type(rows).__name__}: send one row as [row]")
    if hasattr(rows, "columns"):  # of pandas or polars, whose iterators go over the columns
        raise TypeError(f"expected a list of rows, got {type(rows).__name__}: give its rows, {TABLE_ROWS}")


def check_rows(rows: Any) -> None:
    """Raise TypeError unless there is a list of rows, an array with a row for each element, or arrays by name."""
    if isinstance(rows, Mapping):
        return
    refuse_single_row(rows)
    if not isinstance(rows, Sequence | np.ndarray):
        raise TypeError(f"expected a list of rows, got {type(rows).__name__}: make a list of it, or use `stream`")


def encode_rows(rows: Sequence[Any], parameters: Mapping[str, Any], first_row: int = 0) -> bytes:
    """Return the body of a request; bytes are sent as base64, dataclasses as objects, NaN as null.

    RowError for a row with an infinite number; `first_row` is the number of the first row in the caller's counting.
    """
    body: dict[str, Any] = {"instances": [_instance(row) for row in rows]}
    encoded = _encode({**body, "parameters": parameters} if parameters else body)
    if b"null" in encoded:  # so msgspec writes an infinite number too, and a server would take it for a missing one
        refuse_infinite(rows, first_row)
    return encoded


def refuse_infinite(rows: Sequence[Any], first_row: int) -> None:
    """Raise RowError for the first row that has an infinite number."""
    for number, row in enumerate(rows, first_row):
        if _has_infinity(row):
            raise RowError(
                type="invalid_row",
                reason="an infinite number, which JSON doesn't have",
                where=f"instances[{number}]",
                remedy="send a finite number, or null where the model allows a missing one",
                row=number,
            )


def _has_infinity(value: Any) -> bool:
    if isinstance(value, float):
        return math.isinf(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind == "f" and bool(np.isinf(value).any())
    if is_dataclass(value):
        return any(_has_infinity(getattr(value, entry.name)) for entry in fields(value))
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(map(_has_infinity, parts))


def _instance(row: Any) -> Any:
    # The name says that it isn't a text; within an object, the field's name does.
    return {"b64": b64encode(row).decode()} if isinstance(row, bytes | bytearray | memoryview) else row


def rows_as_tensors(rows: Sequence[Any]) -> dict[str, Array] | Array:
    """Return rows as V2 sends them: texts as `text`, objects as a tensor for each field, numbers as one array.

    Raises ValueError for rows that differ in their fields or lengths, or are raw bytes, whose name isn't known.
    """
    if all(isinstance(row, str) for row in rows):
        return {"text": np.array(rows, np.object_)}
    if all(isinstance(row, Mapping) for row in rows):
        names = list(rows[0])
        if any(list(row) != names for row in rows):
            raise ValueError("rows for gRPC must have the same fields in the same order")
        return {name: _column([row[name] for row in rows]) for name in names}
    array = np.asarray(rows)
    if array.dtype.kind not in "biuf":
        raise ValueError('rows for gRPC are texts, objects or numbers; name a file: {"image": content}')
    return array


def _column(values: list[Any]) -> Array:
    are_texts = any(isinstance(value, str | bytes) for value in values)
    array = np.array(values, np.object_) if are_texts else np.asarray(values)
    if array.dtype.kind == "O" and not are_texts:
        raise ValueError("a field of rows for gRPC is a text, bytes, a number or an array in each of them")
    return array
