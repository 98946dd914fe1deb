"""A graph with one input a column, texts among them, as converters write a pipeline of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import InputSpec
from onnxserve_handlers.signature import DATATYPES

from .outline import Outline

TEXT = "object"  # numpy's type of an array of texts
# Fields of a column beside its name, by the type of its tensor.
COLUMNS: dict[str, dict[str, Any]] = {
    TEXT: {"type": "text"},
    "float32": {},
    "float64": {"dtype": "float64"},
    "int64": {"type": "integer"},
    "int32": {"type": "integer", "dtype": "int32"},
    "bool": {"type": "boolean"},
}


def are_columns(inputs: Sequence[InputSpec]) -> bool:
    """Return whether each input is one column, shape (batch, 1), and one of them has texts."""
    shapes = [spec.shape for spec in inputs]
    fits = all(shape is not None and len(shape) == 2 and shape[1] == 1 for shape in shapes)
    return fits and any(spec.dtype == TEXT for spec in inputs) and all(spec.dtype in COLUMNS for spec in inputs)


def read_columns(outline: Outline, inputs: Sequence[InputSpec]) -> None:
    """Read a table whose columns are the inputs, unless the user describes its columns."""
    if outline.get("input.columns"):
        return
    columns = [{"name": spec.name, **COLUMNS[spec.dtype]} if COLUMNS[spec.dtype] else spec.name for spec in inputs]
    outline.add("input.columns", columns, "the inputs, one column each")
    outline.add("input.tensors", "columns", "each column is an input of its own")


def check_numbers(inputs: Sequence[InputSpec]) -> None:
    """Raise DefinitionError for an input that isn't a tensor of numbers."""
    wrong = next((spec for spec in inputs if spec.dtype and spec.dtype not in DATATYPES.values()), None)
    if wrong is None:
        return
    if wrong.dtype == TEXT:
        what, fix = "texts", "texts are taken as columns of a table, each an input of shape (batch, 1)"
    else:
        what, fix = wrong.dtype, "export the graph again with float32 inputs, or put a Cast of float32 behind it"
    raise DefinitionError(f"input {wrong.name} takes {what}, which rows of the kind tensors can't hold", fix=fix)
