"""The signature: what one archive takes and gives, read from its `signature.json`, and the same as JSON schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec


@dataclass(frozen=True)
class Tensor:
    """One input or output of the graph; a dimension is a size or the name of a free axis."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Input:
    """What a row may be; fields that a kind of input doesn't use stay at their defaults."""

    max_bytes: int = 65536
    max_rows: int = 64
    max_tokens: int = 128
    columns: tuple[str, ...] = ()
    height: int = 0
    width: int = 0
    channels: int = 3
    mean: float = 127.0
    scale: float = 128.0
    max_pixels: int = 16_000_000
    background: int = 255  # grey level behind transparent pixels
    extra: dict[str, Any] = field(default_factory=dict)


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
    handler: str
    variant: str
    labels: tuple[str, ...]
    input: Input
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch: int
    activation: Literal["softmax", "none"] = "softmax"  # makes scores of the outputs; none where they are scores
    features: Features | None = None


def read_signature(folder: Path) -> Signature:
    """Parse `signature.json` of an unpacked archive; raises msgspec.ValidationError that names the wrong field."""
    return msgspec.json.decode((folder / "signature.json").read_bytes(), type=Signature)


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


# JSON schemas of rows and predictions, for OpenAPI: https://spec.openapis.org/oas/v3.1.0#schema-object.

Schema = dict[str, Any]
NUMBER: Schema = {"type": "number", "minimum": -1e30, "maximum": 1e30}  # float32 holds no more than 3.4e38
KEY: Schema = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
TEXT: Schema = {"type": "string", "minLength": 1, "pattern": "\\S"}
IMAGE: Schema = {"type": "string", "contentEncoding": "base64"}
ERRORS = {  # that a client can cause, by HTTP status
    400: "The body is not what its content type says.",
    413: "More bytes or rows than the model accepts.",
    415: "A content type that the model does not read.",
    422: "A row outside the signature; `where` says which.",
}


def row_schema(signature: Signature) -> Schema:
    """Return the schema of one row; a user's own handler may accept anything, so its schema allows everything."""
    if signature.input.columns:
        return _table_schema(signature)
    module = signature.handler.partition(":")[0].rpartition(".")[2]
    fields: Schema = {"text": {"text": TEXT}, "image": {"image": IMAGE}}.get(module, {})
    return object_schema(fields, [*fields]) if fields else {}


def _table_schema(signature: Signature) -> Schema:
    """Numbers in column order or by name; keys of entities may stand for the columns that a feature store has."""
    columns, features = signature.input.columns, signature.features
    count, by_name = len(columns), dict.fromkeys(columns, NUMBER)
    by_order: Schema = {"type": "array", "items": NUMBER, "minItems": count, "maxItems": count}
    alternatives = [by_order, object_schema(by_name, columns)]
    if features:
        own = [name for name in columns if name not in features.columns]
        keys = dict.fromkeys(features.entities, KEY)
        alternatives.append(object_schema(by_name | keys, [*own, *features.entities]))
    return {"oneOf": alternatives}


def prediction_schema(signature: Signature) -> Schema:
    """Return the schema of one row's prediction, or of the error that takes its place while other rows have one."""
    return {"anyOf": [_prediction_schema(signature), object_schema({"error": {"type": "object"}}, ["error"])]}


def _prediction_schema(signature: Signature) -> Schema:
    if not signature.labels:
        return object_schema({"values": {"type": "array", "items": {"type": "number"}}}, ["values"])
    score = {"type": "number", "minimum": 0, "maximum": 1}
    return object_schema({"label": {"type": "string", "enum": [*signature.labels]}, "score": score}, ["label", "score"])


def object_schema(properties: Schema, required: Sequence[str]) -> Schema:
    """Return the schema of an object with these fields and no others."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
