"""A table with a column of each type, and tensors that none, or not every, column of it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.helpers.inference import JSON
from tests.helpers.protocol_requests import Request

# By name: the column as a definition has it, and the type and value of a good tensor.
COLUMNS: dict[str, tuple[Any, str, Any]] = {
    "amount": ("amount", "FP64", 1.5),
    "seats": ({"name": "seats", "type": "integer", "minimum": 1, "maximum": 9}, "FP64", 3),
    "trial": ({"name": "trial", "type": "boolean"}, "BOOL", True),
    "plan": ({"name": "plan", "type": "category", "categories": ["basic", "pro"], "unknown": -1}, "BYTES", "pro"),
    "age": ({"name": "age", "nullable": True}, "FP32", 4.0),
    "joined": ({"name": "joined", "type": "date", "since": "2024-01-01"}, "BYTES", "2024-01-03T12:00:00Z"),
}
TENSORS: tuple[tuple[str, list[Any]], ...] = (
    ("BOOL", [True]), ("BOOL", [1]), ("INT8", [5]), ("INT8", [200]), ("INT64", [2**63 - 1]), ("UINT64", [2**64 - 1]),
    ("FP16", [70_000]), ("FP32", [1e39]), ("FP64", [1e308]), ("FP64", [None]), ("FP64", []), ("FP64", [[1.0]]),
    ("FP64", ["1"]), ("BYTES", [""]), ("BYTES", ["\0"]), ("BYTES", ["x" * 9999]), ("BYTES", [1]), ("BYTES", [None]),
    ("BYTES", ["9999-99-99"]), ("BYTES", ["0001-01-01"]), ("BYTES", ["2024-01-01T25:00"]), ("BYTES", ["\u0663"]),
    ("X", [1]),
)  # fmt: skip
SHAPES: tuple[list[int], ...] = ([1], [1, 1], [2], [1, 2], [0], [], [-1])


def table_request(changed: str = "", **fields: Any) -> Request:
    """Return a V2 request with a tensor a column, one of which has other fields."""
    inputs = [
        {"name": name, "datatype": kind, "shape": [1], "data": [value]} | (fields if name == changed else {})
        for name, (_, kind, value) in COLUMNS.items()
    ]
    return json.dumps({"inputs": inputs}).encode(), {"content-type": JSON}


def column_requests() -> Iterator[tuple[str, str, Request]]:
    """Yield the column that has another tensor, what that is, and the request."""
    for name in COLUMNS:
        for kind, data in TENSORS:
            for shape in SHAPES:
                text = f"{name} {kind} {str(data)[:30]} {shape}"
                yield name, text, table_request(name, datatype=kind, data=data, shape=shape)
