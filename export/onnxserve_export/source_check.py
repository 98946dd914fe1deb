"""Whether a source takes the handler's tensors, gives what a task needs, and answers the same each time."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from onnxserve.errors import DefinitionError, OnnxserveError

from .acceptance import has_own_units
from .arrays import Array, Arrays
from .export_state import ExportState
from .outputs import scales_of
from .reference import check_finite, check_repeatable
from .sources import SourceModel

# What torch says of numbers of two types.
OTHER_TYPE = ("same dtype", "scalar type")


def source_faults(state: ExportState, batches: list[Arrays]) -> Iterator[OnnxserveError]:
    """Yield everything that is wrong with the source's inputs and outputs on small batches."""
    yield from undeclared_axes(state, batches)
    where = state.source_place
    try:
        if state.definition.serve.batch_size == 1:
            state.model.unbatched = unbatched_outputs(state.model, batches)
        few, many = (state.model.run(batch) for batch in (batches[0], batches[-1]))
    except DefinitionError as error:
        yield DefinitionError(error.what, where=error.where or where, fix=error.fix)
        return
    except Exception as error:  # noqa: BLE001 - whatever a user's module raises
        yield failure(error, batches, where, generated=not state.split.total)
        return
    if fault := state.task.outputs_fault(few):
        yield DefinitionError(fault, where=where, fix="give the outputs that output.task reads, or change [output]")
    try:
        for outputs in (few, many):
            check_finite(state.model.name, "checked", outputs)
        check_repeatable(state.model, batches[-1], scales_of(many, each=has_own_units(state.definition)))
    except OnnxserveError as error:
        yield error


def unbatched_outputs(model: SourceModel, batches: list[Arrays]) -> frozenset[str]:
    """Return the outputs that have no axis for the batch, as boxes of shape (boxes, 4), by several rows run alone.

    The batch's axis has the size 1 for every row.
    """
    outputs = [model.answer(batch) for batch in batches]
    return frozenset(name for name in outputs[0] if any(part[name].shape[:1] != (1,) for part in outputs))


def undeclared_axes(state: ExportState, batches: list[Arrays]) -> Iterator[OnnxserveError]:
    """Yield a fault for each axis that has several sizes although the handler doesn't declare it free."""
    few, many = batches[0], batches[-1]
    for name in sorted(few.keys() & many.keys()):
        for axis in range(1, min(few[name].ndim, many[name].ndim)):
            sizes = few[name].shape[axis], many[name].shape[axis]
            if sizes[0] != sizes[1] and axis not in state.axes.get(name, {}):
                what = f"axis {axis} of {name} is {sizes[0]} long in one batch and {sizes[1]} in another"
                fix = f'declare it in the handler: dynamic_axes = {{"{name}": {{{axis}: "length"}}}}'
                yield DefinitionError(what, where=state.definition.handler or "[input]", fix=fix)


def _is_library(path: Path) -> bool:
    return "site-packages" in path.parts or path.is_relative_to(Path(__file__).parent)


def described(name: str, array: Array) -> str:
    """Return an array's name, type and shape, and the range of whole numbers, which may be places in a table."""
    numbers = f" of {array.min()} to {array.max()}" if array.dtype.kind in "iu" and array.size else ""
    return f"{name} {array.dtype} {list(array.shape)}{numbers}"


def failure(error: Exception, batches: list[Arrays], where: str, *, generated: bool = False) -> OnnxserveError:
    """Return the fault of a module that raises, with the place in the user's own file.

    `generated` is whether there are no rows but those that the export made.
    """
    shapes = ", ".join(described(name, array) for name, array in batches[0].items())
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.endswith(".py") and not _is_library(Path(frame.filename))]
    lines = str(error).strip().splitlines()
    what = (
        f"the module fails on batches such as {shapes}: {type(error).__name__}: {lines[0] if lines else 'no message'}"
    )
    place = f"{own[-1].filename}:{own[-1].lineno} in {own[-1].name}" if own else where
    fix = "let forward take these tensors; --verbose shows the whole trace"
    if any(words in what for words in OTHER_TYPE):
        fix = "the weights are of another type than the inputs: return module.float(), or give the inputs that type"
    elif generated:
        fix = f"there are no rows, so these were generated within the signature: give real ones with --rows; or {fix}"
    return DefinitionError(what, where=place, fix=fix)
