"""Values as a client would send them: what numpy, pandas or torch hold becomes numbers, texts, lists and objects."""

from __future__ import annotations

import math
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from onnxserve.errors import DefinitionError


def plain_value(value: Any, where: str) -> Any:
    """Return a value as JSON has it, bytes for a file; NaN becomes null. DefinitionError for any other object."""
    if value is None or type(value) in (str, bytes, int, bool):
        return value
    if type(value) is float:
        return None if math.isnan(value) else value
    if isinstance(value, list | tuple):
        return [plain_value(each, where) for each in value]
    if isinstance(value, dict):
        return {_key(key, where): plain_value(each, where) for key, each in value.items()}
    return _converted(value, where)


def _converted(value: Any, where: str) -> Any:
    match value:
        case np.generic():
            converted = plain_value(value.item(), where)
        case str():  # a type that derives from it
            converted = str(value)
        case bytes() | bytearray() | memoryview():
            converted = bytes(value)
        case int() | float() | Decimal():
            converted = plain_value(int(value) if isinstance(value, int) else float(value), where)
        case date() | time():
            converted = value.isoformat()
        case _ if hasattr(value, "__array__"):  # an array, a tensor, a column of a table
            converted = _array(np.asarray(value), where)
        case _:
            raise _unsupported(value, where)
    return converted


def _unsupported(value: Any, where: str) -> DefinitionError:
    return DefinitionError(
        f"{type(value).__name__} isn't a value that a request can hold",
        where=where,
        fix="give numbers, texts, bytes, lists, objects or numpy arrays",
    )


def _array(array: np.ndarray[Any, Any], where: str) -> Any:
    values = array.tolist()
    is_clean = array.dtype.kind in "iub" or (array.dtype.kind == "f" and not np.isnan(array).any())
    return values if is_clean else plain_value(values, where)


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return str(key)
    raise DefinitionError(f"an object's name must be text, not {type(key).__name__}", where=where)
