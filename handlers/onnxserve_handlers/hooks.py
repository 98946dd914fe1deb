"""The hooks that a kind of model fills in: reading rows, making tensors of them, and predictions of outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .runtime.batching import Buffers, guarded
from .runtime.session import Session
from .schemas import prediction_schema, row_schema
from .signature import Signature
from .tasks.classification import classify_rows, plain_rows

Outputs = dict[str, npt.NDArray[Any]]


class Hooks:
    """The hooks of a model, and what they may use; `Handler` calls them."""

    # Free axes beside the batch, by input name: {"input_ids": {1: "sequence"}}.
    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {}
    # Content types read as one raw row, beside JSON.
    raw_types: ClassVar[tuple[str, ...]] = ()
    # Names that may stand before a row in JSON: {"text": "..."}.
    row_keys: tuple[str, ...] = ("data",)

    signature: Signature
    folder: Path
    session: Session
    settings: Mapping[str, Any] = MappingProxyType({})  # `handler` of the archive's configuration
    threads = 1
    golden_deviation: float  # of this machine's outputs for the golden rows

    def __init__(self) -> None:
        self.buffers = Buffers()

    def prepare(self) -> None:
        """Load what `check` and `tensors` need from `self.folder` and `self.signature`."""

    def check(self, instance: Any, where: str) -> Any:
        """One instance to one row; raise InvalidRow or UndecodableBody for one outside the signature."""
        raise NotImplementedError

    def tensors(self, rows: Sequence[Any]) -> dict[str, npt.NDArray[Any]]:
        """Rows to the graph's inputs; dimension 0 is the batch. The arrays may be `self.buffers`'."""
        raise NotImplementedError

    def predictions(self, outputs: npt.NDArray[Any]) -> list[Any]:
        """The first output, shape (rows, ...), to one JSON value a row; every number is finite."""
        signature = self.signature
        return (
            classify_rows(outputs, signature.labels, signature.activation) if signature.labels else plain_rows(outputs)
        )

    # Hooks that a faster handler may fill in as well -------------------------

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """`check` for all instances of a batch: a row or a RequestError each; `places` within their requests."""
        return [
            guarded(partial(self.check, instance, f"instances[{place}]"))
            for instance, place in zip(instances, places, strict=True)
        ]

    def columnar(self) -> bool:
        """Whether rows may also come as one array a column, to `check_columns`."""
        return False

    def check_columns(self, columns: Mapping[str, npt.NDArray[Any]]) -> tuple[Outputs, npt.NDArray[np.bool_]]:
        """`check` and `tensors` for one array a column: the graph's inputs, and which rows `check` would accept."""
        raise NotImplementedError

    def lengths(self, rows: Sequence[Any]) -> list[int] | None:  # noqa: ARG002 - a hook
        """Padded length of each row, None where rows don't pad each other."""
        return None

    def raw(self, content: bytes | bytearray) -> bool:  # noqa: ARG002 - a hook
        """Whether a body without a declared type is a raw row rather than JSON."""
        return False

    def measures(self, rows: Sequence[Any]) -> Mapping[str, npt.NDArray[Any]]:  # noqa: ARG002 - a hook
        """Numbers of checked rows whose spread is compared with the archive's profile, one array a measure."""
        return {}

    def free_axes(self) -> dict[str, int]:
        """Largest sizes of the free axes beside the batch, by name, for clients that send tensors."""
        return {}

    def check_values(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Raise InvalidRow for tensors of a client whose elements the graph can't take."""

    def notes(self, rows: Sequence[Any]) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - a hook
        """Headers that an answer about these rows carries."""
        return ()

    def schemas(self) -> dict[str, Any]:
        """JSON schemas of a `row` and of the `prediction` for it, for OpenAPI."""
        return {"row": row_schema(self.signature), "prediction": prediction_schema(self.signature)}
