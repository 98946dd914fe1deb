"""The signature: what one archive takes and gives, read from its `signature.json`, and the same as JSON schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import msgspec

if TYPE_CHECKING:
    from .inputs import InputOptions
    from .tasks import OutputOptions


@dataclass(frozen=True)
class Tensor:
    """One input or output of the graph; a dimension is a size or the name of a free axis."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Features:
    """Which columns of a row a feature store has, by which keys, and what happens where it has no value."""

    service: str = ""
    entities: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    missing: Literal["default", "refuse"] = "refuse"  # the store lacks an entity, or a feature of it
    unavailable: Literal["default", "refuse"] = "refuse"  # the store doesn't answer
    defaults: dict[str, float] = field(default_factory=dict)
    ttl_s: float = 0.0
    timeout_ms: float = 50.0
    # The type of each entity's key in the store; archives of earlier versions lack it.
    key_types: dict[str, Literal["int32", "int64", "string"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Signature:
    """Name, version, limits and tensors of one model."""

    model: str
    version: str
    handler: str  # `module:class` of a handler of a user's own in the package; empty without one
    variant: str
    input: InputOptions
    output: OutputOptions
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch: int
    features: Features | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of `output`."""
        return self.output.labels


def read_signature(folder: Path) -> Signature:
    """Parse `signature.json` of an unpacked archive; raises msgspec.ValidationError that names the wrong field."""
    from .registry import input_kind, task

    content = (folder / "signature.json").read_bytes()
    names = msgspec.json.decode(content, type=_Names)
    records = {
        "InputOptions": input_kind(names.input.kind).input_options,
        "OutputOptions": task(names.output.task).output_options,
    }
    types = get_type_hints(Signature, localns=records)
    entries = [
        (entry.name, types[entry.name], *([] if entry.default is MISSING else [entry.default]))
        for entry in fields(Signature)
    ]
    document = msgspec.json.decode(content, type=msgspec.defstruct("Document", entries))
    return Signature(**{name: getattr(document, name) for name, *_ in entries})


class _Kind(msgspec.Struct):
    kind: str = ""


class _Task(msgspec.Struct):
    task: str = ""


class _Names(msgspec.Struct):
    input: _Kind
    output: _Task


# The element types of the Open Inference Protocol V2 and numpy's names for them.
DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
BYTES = "BYTES"
_BY_DTYPE = {dtype: name for name, dtype in DATATYPES.items()} | {"object": BYTES}  # numpy's arrays of texts


def datatype(dtype: str) -> str:
    """Return the protocol's name of a numpy dtype, `FP32` for `float32`; a dtype without one keeps its own name."""
    return _BY_DTYPE.get(dtype, dtype)


Schema = dict[str, Any]  # of JSON, for OpenAPI: https://spec.openapis.org/oas/v3.1.0#schema-object
ERRORS = {  # that a client can cause, by HTTP status
    400: "The body is not what its content type says.",
    413: "More bytes or rows than the model accepts.",
    415: "A content type that the model does not read.",
    422: "A row outside the signature; `where` says which.",
}


def object_schema(properties: Schema, required: Sequence[str]) -> Schema:
    """Return the schema of an object with these fields and no others."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
