"""The handler's tensors as a fitted model takes them: texts, a data frame, or an array."""

from __future__ import annotations

from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Array, Arrays

from .pipeline_columns import reads_texts, takes_frame


def missing(error: ModuleNotFoundError) -> DefinitionError:
    """Return the error that names the extra that brings a library."""
    extra = "xgboost" if error.name == "xgboost" else "trees"
    return DefinitionError(f"{error.name} is not installed", fix=f"pip install 'onnxserve[{extra}]'")


def table_of(model: Any, arrays: Arrays) -> Any:
    """Return the handler's tensors as the model takes them: texts, a data frame, or an array (rows, columns)."""
    if reads_texts(model):
        return texts(arrays)
    return frame(arrays) if len(arrays) > 1 or takes_frame(model) else matrix(arrays)


def texts(arrays: Arrays) -> Array:
    """Return the handler's only tensor as texts, shape (rows,); DefinitionError for another tensor."""
    if len(arrays) > 1 or any(array.dtype.kind not in "UO" or array.shape[1:] != (1,) for array in arrays.values()):
        shapes = ", ".join(f"{name} {array.dtype.name} {array.shape}" for name, array in arrays.items())
        raise DefinitionError(
            f"the model takes texts, shape (rows, 1), the handler gives {shapes}",
            fix='set [input] kind = "table", tensors = "columns" and columns = [{ name = "text", type = "text" }]',
        )
    [table] = arrays.values()
    return table[:, 0].astype(object)


def matrix(arrays: Arrays) -> Array:
    """Return the handler's only tensor; DefinitionError unless it has the shape (rows, columns)."""
    [table] = arrays.values()
    if table.ndim != 2:
        raise shape_fault(arrays)
    return table


def shape_fault(arrays: Arrays) -> DefinitionError:
    """Return the error for tensors that are no table."""
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    return DefinitionError(
        f"the model takes one tensor (rows, columns), the handler gives {shapes}",
        fix='set [input] kind = "table" with the columns that the model was fitted to',
    )


def frame(arrays: Arrays) -> Any:
    """Return a data frame of the handler's tensors, one a column; DefinitionError for other shapes or libraries."""
    if any(array.ndim != 2 or array.shape[1] != 1 for array in arrays.values()):
        raise shape_fault(arrays)
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise missing(error) from error
    columns = {name: array[:, 0] for name, array in arrays.items()}
    return pd.DataFrame(
        {name: column.astype(object) if column.dtype.kind == "U" else column for name, column in columns.items()}
    )
