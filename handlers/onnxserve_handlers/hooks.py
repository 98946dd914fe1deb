"""The hooks that a kind of model fills in: rows of instances, tensors of rows, predictions of outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .runtime.batching import Buffers, guard
from .runtime.session import Session
from .signature import Signature, prediction_schema, row_schema
from .tasks.classification import classify_rows, plain_rows

Outputs = dict[str, npt.NDArray[Any]]


class Hooks:
    """The hooks of a model, and what they may use; `Handler` calls them."""

    # Free axes beside the batch, by input name: {"input_ids": {1: "sequence"}}.
    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {}
    # Content types that are read as one raw row, beside JSON.
    raw_types: ClassVar[tuple[str, ...]] = ()
    # Names that may stand before a row in JSON: {"text": "..."}.
    row_keys: tuple[str, ...] = ("data",)

    signature: Signature
    folder: Path
    session: Session
    settings: Mapping[str, Any] = MappingProxyType({})  # `handler` of the archive's configuration
    threads = 1
    golden_deviation: float  # of this machine's outputs for the golden rows, in spreads

    def __init__(self) -> None:
        self.buffers = Buffers()

    def prepare(self) -> None:
        """Load what `check` and `tensors` need from `self.folder` and `self.signature`."""

    def check(self, instance: Any, where: str) -> Any:
        """Return one instance as a row; raise InvalidRow or UndecodableBody for an instance outside the signature."""
        raise NotImplementedError

    def tensors(self, rows: Sequence[Any]) -> dict[str, npt.NDArray[Any]]:
        """Return the graph's inputs for some rows; dimension 0 is the batch. The arrays may be `self.buffers`'."""
        raise NotImplementedError

    def predictions(self, outputs: npt.NDArray[Any]) -> list[Any]:
        """Return one JSON value per row for the first output, shape (rows, ...), whose numbers are all finite."""
        signature = self.signature
        return (
            classify_rows(outputs, signature.labels, signature.activation) if signature.labels else plain_rows(outputs)
        )

    # Hooks that a faster handler may fill in as well -------------------------

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Return a row or a RequestError for each instance of a batch; `places` are their indices in their requests."""
        return [
            guard(partial(self.check, instance, f"instances[{place}]"))
            for instance, place in zip(instances, places, strict=True)
        ]

    def columnar(self) -> bool:
        """Return whether `check_columns` takes rows as one array per column."""
        return False

    def check_columns(self, columns: Mapping[str, npt.NDArray[Any]]) -> tuple[Outputs, npt.NDArray[np.bool_]]:
        """Return the graph's inputs for one array per column, and which rows `check` would accept, shape (rows,)."""
        raise NotImplementedError

    def lengths(self, rows: Sequence[Any]) -> list[int] | None:  # noqa: ARG002 - a hook
        """Return each row's length before padding, None where rows don't pad each other."""
        return None

    def raw(self, content: bytes | bytearray) -> bool:  # noqa: ARG002 - a hook
        """Return whether a body without a declared type is a raw row rather than JSON."""
        return False

    def sample(self, draws: np.random.Generator) -> Any:  # noqa: ARG002 - a hook
        """Return a random instance as a client would send it in JSON, within the signature; None if none can be made.

        The export compares the graph with its source on such rows too.
        """
        return None

    def measures(self, rows: Sequence[Any]) -> Mapping[str, npt.NDArray[Any]]:  # noqa: ARG002 - a hook
        """Return numbers of checked rows, one array per measure; drift compares them with the archive's profile."""
        return {}

    def free_axes(self) -> dict[str, int]:
        """Return the largest sizes of the free axes beside the batch, by name, for clients that send tensors."""
        return {}

    def check_values(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Raise InvalidRow for a client's tensors if the graph can't take their elements."""

    def notes(self, rows: Sequence[Any]) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - a hook
        """Return headers for the response about these rows."""
        return ()

    def schemas(self) -> dict[str, Any]:
        """Return the JSON schemas of a `row` and of its `prediction`, for OpenAPI."""
        return {"row": row_schema(self.signature), "prediction": prediction_schema(self.signature)}
