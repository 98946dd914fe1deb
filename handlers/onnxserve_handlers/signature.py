"""The signature: what one archive takes and gives, as its `signature.json` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
TEXT_PAIR = ("text", "text_pair")  # the fields of a row that is two texts


@dataclass(frozen=True)
class Tensor:
    """One input or output of the graph; a dimension is a size or the name of a free axis."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


FILE_BYTES = 8 * 2**20  # of a request with files or tensors: what gateway and server let through by default


class InputOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a row may be: `[input]` of a definition, and `input` of its archive's signature."""

    kind: str = ""
    """Kind of input; empty for a handler of your own that makes tensors itself."""
    max_bytes: Positive = 65536
    """Largest body of a request [bytes]."""
    max_rows: Positive = 64
    """Most rows of a request [rows]."""
    extra: dict[str, Any] = {}
    """Settings of a handler of your own."""

    # The name of a row that is one value, such as a text: of its field in JSON, and of its input in V2.
    row_name: ClassVar[str] = ""
    # Whether the columns of `column_names` hold numbers.
    numeric: ClassVar[bool] = True

    @property
    def is_loggable(self) -> bool:
        """Whether the prediction log may keep rows: texts, and tables by column."""
        return True

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of a row's values, where a row has several by name; empty for other kinds."""
        return ()

    @classmethod
    def questions(cls, known: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG003 - a hook
        """Return the fields with a default that only a model's maker can confirm, and what each is.

        An import asks for them, since a wrong one gives other answers without an error. `known` are the fields that the
        model or the user states.
        """
        return {}

    def complete(self, required: Sequence[str], optional: Sequence[str]) -> InputOptions:  # noqa: ARG002 - a hook
        """Return the options with what the model's inputs decide, by the names that it requires or may get."""
        return self

    @property
    def column_types(self) -> Mapping[str, str]:
        """The types of a table's columns that take more or less than any number, by name."""
        return {}

    @property
    def nullable_columns(self) -> frozenset[str]:
        """The columns of a table that take null."""
        return frozenset()

    @property
    def measure_edges(self) -> Mapping[str, Sequence[float]]:
        """The edges between the bins of measures that have bins of their own, by measure; others get quantiles."""
        return {}


class OutputOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What predictions are: `[output]` of a definition, and `output` of its archive's signature."""

    task: str = ""
    """Task that makes predictions of the graph's outputs."""
    labels: tuple[str, ...] = ()
    """Labels in the order of the graph's outputs; empty for a task without labels."""

    # What makes scores of the first output's logits, where the export decides it; empty where that has no scores.
    logit_activation: ClassVar[str] = ""
    # Whether rows have numbers for labels where `labels` has no names for them.
    numeric_labels: ClassVar[bool] = True
    # Fields of a prediction that are tensors of V2 too, beside the graph's outputs.
    tensors: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def questions(cls, known: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG003 - a hook
        """Return the fields that an import asks for, as `InputOptions.questions` does."""
        return {}


@dataclass(frozen=True)
class Features:
    """Which columns of a row a feature store has, by which keys, and what happens where it has no value."""

    service: str = ""
    entities: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    missing: Literal["default", "refuse"] = "refuse"  # the store lacks an entity, or a feature of it
    unavailable: Literal["default", "refuse"] = "refuse"  # the store doesn't answer
    defaults: dict[str, bool | float | str] = field(default_factory=dict)
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
