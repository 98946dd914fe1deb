"""Whether a model takes several rows together, by trying two of them; many detectors and fixed graphs take one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Array, Arrays
from onnxserve_export.sources import SourceModel

from .outline import Outline

FREE = 8  # size of a free axis in a trial, unless its limit is smaller
CLOSE = 1e-3  # of an output's largest magnitude
SEED = 20240229
Shapes = Mapping[str, tuple[str, tuple[int, ...]]]  # dtype and sizes of a row's tensors by name


def read_rows(outline: Outline, source: SourceModel) -> None:
    """Let rows run alone if the source takes only one at a time; DefinitionError if it takes another fixed number."""
    shapes = shapes_of(outline)
    if source.scales_by_batch:
        outline.add("serve.batch_size", 1, "its 8-bit scales are those of a whole batch, so rows would change others")
        return
    alone = takes_one_row(source, shapes)
    if source.stated_rows > 1 and has_batch(source, shapes) and (alone or takes_stated_rows_alone(source, shapes)):
        raise fixed_number(source)
    if alone:
        outline.add("serve.batch_size", 1, "a trial: it answers one row, and not two together")


def has_batch(source: SourceModel, shapes: Shapes) -> bool:
    """Return whether the source's inputs have one axis more than a row's tensors."""
    ranks = {len(spec.shape) for spec in source.inputs if spec.shape is not None}
    return bool(shapes) and ranks == {len(shape) + 1 for _, shape in shapes.values()}


def takes_stated_rows_alone(source: SourceModel, shapes: Shapes) -> bool:
    """Return whether the source answers the number of rows that it states, and not one row."""
    draws = np.random.default_rng(SEED)
    rows = [example(shapes, draws) for _ in range(source.stated_rows)]
    if answers(source, rows[0]) is not None:
        return False
    return answers(source, {name: np.concatenate([row[name] for row in rows]) for name in shapes}) is not None


def answers(source: SourceModel, arrays: Arrays) -> Arrays | None:
    """Return what the source answers, None where it can't; the export says why."""
    try:
        return source.answer(arrays)
    except Exception:  # noqa: BLE001 - whatever a module raises
        return None


def fixed_number(source: SourceModel) -> DefinitionError:
    """Return an error for a source whose first axis is no batch that could have another size."""
    wholes = [
        f"--tensor {spec.name}={spec.dtype}[{','.join(map(str, (source.stated_rows, *spec.shape[1:])))}]"
        for spec in source.inputs
        if spec.shape
    ]
    return DefinitionError(
        f"the first axis of its inputs has {source.stated_rows} places, and it doesn't take rows one by one along it",
        where=source.summary,
        fix=f"if that axis is the batch: {source.free_axis_fix}; if it belongs to each row: {' '.join(wholes)}",
    )


def shapes_of(outline: Outline) -> Shapes:
    """Return dtype and sizes of a row's tensors by name, as far as they are known."""
    kind, limits = outline.get("input.kind"), dict(outline.section("input"))
    if kind == "image":
        sizes = tuple(outline.get(f"input.{field}", 3) for field in ("channels", "height", "width"))
        channels_last = outline.get("input.layout") == "NHWC"
        shape = (*sizes[1:], sizes[0]) if channels_last else sizes
        return {"image": (outline.get("input.dtype", "float32"), shape)} if outline.get("input.height") else {}
    if kind == "table":
        return {"features": ("float32", (len(outline.get("input.columns", ())),))}
    if kind != "tensors":
        return {}
    return {
        tensor["name"]: (tensor["dtype"], tuple(_size(size, limits) for size in tensor["shape"]))
        for tensor in outline.get("input.tensors", [])
    }


def _size(size: int | str, limits: Mapping[str, Any]) -> int:
    limit = limits.get(f"limits.{size}")
    return size if isinstance(size, int) else min(FREE, limit.value) if limit else FREE


def takes_one_row(source: SourceModel, shapes: Shapes) -> bool:
    """Return whether the source answers a row alone, and not two rows together with a row of outputs for each.

    A source that states a batch of one must answer the two as it does each alone. False where nothing can be tried.
    """
    if not shapes or any(np.dtype(dtype).kind not in "biuf" for dtype, _ in shapes.values()):
        return False
    draws = np.random.default_rng(SEED)
    first, second = (example(shapes, draws) for _ in range(2))
    alone = [answer for row in (first, second) if (answer := answers(source, row)) is not None]
    if len(alone) < 2:
        return False
    together = answers(source, {name: np.concatenate([array, second[name]]) for name, array in first.items()})
    if (
        together is None
        or any(array.shape[:1] != (2,) for array in together.values())
        or together.keys() != alone[0].keys()
    ):
        return True
    return source.stated_rows == 1 and not all(
        _same(array, [part[name] for part in alone]) for name, array in together.items()
    )


def example(shapes: Shapes, draws: np.random.Generator) -> Arrays:
    """Return one random row: numbers of mean 0 and variance 1, or whole ones of 0 and 1."""
    return {
        name: (
            draws.normal(size=(1, *shape)) if np.dtype(dtype).kind == "f" else draws.integers(0, 2, (1, *shape))
        ).astype(dtype)
        for name, (dtype, shape) in shapes.items()
    }


def _same(together: Array, alone: list[Array]) -> bool:
    """Return whether the rows of one output are those that each row alone got."""
    if any(part.shape != (1, *together.shape[1:]) for part in alone):
        return False
    expected = np.concatenate(alone).astype(np.float64)
    return bool(np.allclose(together, expected, rtol=0, atol=CLOSE * max(1e-9, np.abs(expected).max(initial=0.0))))
