"""The contract of one archive, read from its `signature.json`."""

from __future__ import annotations

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
    """What a row may be. Fields that a kind of model doesn't use stay at their defaults."""

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
    background: int = 255  # grey level behind what is transparent
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """What a feature store knows of a row: which columns, by which keys, and what happens where it knows nothing."""

    service: str = ""
    entities: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    missing: Literal["default", "refuse"] = "refuse"  # an entity, or a feature of it, that isn't there
    unavailable: Literal["default", "refuse"] = "refuse"  # the store itself
    defaults: dict[str, float] = field(default_factory=dict)
    ttl_s: float = 0.0
    timeout_ms: float = 50.0
    # Of each entity, as the store has it; archives of before don't say.
    key_types: dict[str, Literal["int32", "int64", "string"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Signature:
    """Name, version, limits and tensors of one model; the same object for every worker."""

    model: str
    version: str
    handler: str
    variant: str
    labels: tuple[str, ...]
    input: Input
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch: int
    activation: Literal["softmax", "none"] = "softmax"  # what makes scores of the outputs; none where they are scores
    features: Features | None = None


def read_signature(folder: Path) -> Signature:
    """Parse `signature.json`; raises msgspec.ValidationError naming the wrong field."""
    return msgspec.json.decode((folder / "signature.json").read_bytes(), type=Signature)


NAMES = {
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
_BY_DTYPE = {dtype: name for name, dtype in NAMES.items()} | {"object": BYTES}  # numpy's arrays of texts


def datatype(dtype: str) -> str:
    """The protocol's name of a numpy dtype: `float32` is `FP32`. One that the protocol lacks keeps its own."""
    return _BY_DTYPE.get(dtype, dtype)
