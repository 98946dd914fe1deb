"""Forms of a request for predictions: rows in JSON, or tensors of V2 over HTTP or gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from onnxserve_handlers.protocols.v2_http import BINARY
from onnxserve_handlers.protocols.v2_http import HEADER as JSON_LENGTH

from .exchange import GRPC, JSON, Incoming, Outgoing
from .rows import encode_rows
from .tensors import (
    Array,
    Tensors,
    cut_rows,
    datatype_of,
    from_elements,
    pack,
    predictions_of,
    row_count,
    unpack,
)
from .v2_call import METHOD, decode_call, encode_call

R = TypeVar("R")


class Form(Protocol[R]):
    """What a request is made of, and what its answer says; `R` are the rows of a call."""

    def count(self, rows: R) -> int:
        """Return the number of rows."""

    def cut(self, rows: R, start: int, stop: int) -> R:
        """Return the rows from `start` to before `stop`."""

    def encode(self, rows: R) -> Outgoing:
        """Return the request for these rows."""

    def decode(self, incoming: Incoming, rows: int) -> list[Any]:
        """Return what the answer has for so many rows; ValueError or LookupError if it isn't of this form."""


def check_count(answered: int, rows: int) -> None:
    """Raise ValueError unless each row has an answer."""
    if answered != rows:
        raise ValueError(f"{answered} predictions for {rows} rows")


class Answer(msgspec.Struct):
    """An answer: a prediction for each row, and the model and the version that gave them."""

    predictions: list[Any]
    model: str = ""
    version: str = ""


@dataclass(frozen=True)
class JsonForm:
    """Instances in, predictions out."""

    model: str
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def count(self, rows: Sequence[Any]) -> int:
        """Return the number of rows."""
        return len(rows)

    def cut(self, rows: Sequence[Any], start: int, stop: int) -> Sequence[Any]:
        """Return the rows from `start` to before `stop`."""
        return rows[start:stop]

    def encode(self, rows: Sequence[Any]) -> Outgoing:
        """Return the request for these rows."""
        path = f"/predictions/{quote(self.model, safe='')}"
        path += f"/{quote(self.version, safe='')}" if self.version else ""
        return Outgoing(path, encode_rows(rows, self.parameters), {"content-type": JSON})

    def decode(self, incoming: Incoming, rows: int) -> list[Any]:
        """Return a prediction or an error for each row."""
        return self.read(incoming, rows).predictions

    def read(self, incoming: Incoming, rows: int) -> Answer:
        """Return the whole answer; ValueError if it isn't of this form."""
        answer = msgspec.json.decode(incoming.body, type=Answer)
        check_count(len(answer.predictions), rows)
        return answer


def model_path(model: str, version: str) -> str:
    """Return V2's path of a model."""
    return f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")


@dataclass(frozen=True)
class TensorForm:
    """The graph's inputs in; the graph's outputs out, with what the task adds.

    `outputs` chooses among them, empty for all. With `whole`, they aren't taken apart into predictions.
    """

    model: str
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    whole: bool = False

    def count(self, rows: Tensors) -> int:
        """Return the number of rows."""
        return row_count(rows)

    def cut(self, rows: Tensors, start: int, stop: int) -> Tensors:
        """Return the rows from `start` to before `stop`."""
        return cut_rows(rows, start, stop)

    def encode(self, rows: Tensors) -> Outgoing:
        """Return the request for these rows: JSON, then the tensors' bytes."""
        contents = [pack(array) for array in rows.values()]
        inputs = [
            {
                "name": name,
                "shape": array.shape,
                "datatype": datatype_of(array),
                "parameters": {"binary_data_size": len(content)},
            }
            for (name, array), content in zip(rows.items(), contents, strict=True)
        ]
        document: dict[str, Any] = {"inputs": inputs, "parameters": {**self.parameters, "binary_data_output": True}}
        if self.outputs:
            document["outputs"] = [{"name": name} for name in self.outputs]
        head = msgspec.json.encode(document)
        headers = {"content-type": BINARY, JSON_LENGTH.lower(): str(len(head))}
        path = f"{model_path(self.model, self.version)}/infer"
        return Outgoing(path, b"".join([head, *contents]), headers)

    def decode(self, incoming: Incoming, rows: int) -> list[Any]:
        """Return a prediction for each row; with `whole`, the outputs of all rows as the only element."""
        tensors = self.read(incoming)
        check_count(row_count(tensors), rows)
        return [tensors] if self.whole else predictions_of(tensors, rows)

    def read(self, incoming: Incoming) -> dict[str, Array]:
        """Return the outputs by name, shapes (rows, ...)."""
        size = int(incoming.headers.get(JSON_LENGTH.lower(), len(incoming.body)))
        content = memoryview(incoming.body)
        entries = msgspec.json.decode(content[:size], type=OutputDocument).outputs
        tensors, tail = {}, content[size:]
        for entry in entries:
            length = entry.parameters.get("binary_data_size")
            if length is None:
                tensors[entry.name] = from_elements(entry.name, entry.datatype, entry.shape, entry.data)
                continue
            tensors[entry.name] = unpack(entry.name, entry.datatype, entry.shape, tail[:length])
            tail = tail[length:]
        return tensors


class OutputEntry(msgspec.Struct):
    """One entry of `outputs`."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: Any = None


class OutputDocument(msgspec.Struct):
    """The JSON part of V2's answer."""

    outputs: list[OutputEntry]


@dataclass(frozen=True)
class CallForm(TensorForm):
    """The same over gRPC."""

    def encode(self, rows: Tensors) -> Outgoing:
        """Return the call for these rows."""
        message = encode_call(self.model, self.version, rows, self.outputs, self.parameters)
        return Outgoing(METHOD, message, method=GRPC)

    def read(self, incoming: Incoming) -> dict[str, Array]:
        """Return the outputs by name, shapes (rows, ...)."""
        return decode_call(incoming.body)
