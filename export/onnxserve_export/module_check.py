"""Whether a torch module takes the handler's tensors, gives what a task needs, and answers the same each time."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator

import numpy as np
import torch

from onnxserve.errors import DefinitionError, OnnxserveError

from .arrays import Array, Arrays
from .deviation import deviation, scale_of
from .export_state import ExportState
from .reference import RANDOM, run_torch


def module_faults(state: ExportState, batches: list[Arrays]) -> Iterator[OnnxserveError]:
    """Yield everything that is wrong with the module's inputs and outputs on small batches."""
    yield from undeclared_axes(state, batches)
    if names := list(name_faults(state.module, batches[0], state.definition.loader)):
        yield from names
        return
    for batch in batches:
        try:
            outputs = run_torch(state.module, batch)
        except DefinitionError as error:
            yield error
            return
        except Exception as error:  # noqa: BLE001 - whatever a user's module raises
            yield failure(error, batch, state.definition.loader)
            return
    labels = state.definition.labels
    if labels and outputs.shape[1:] != (len(labels),):
        what = f"the module gives {outputs.shape[1:]} outputs a row for {len(labels)} labels"
        yield DefinitionError(what, where=state.definition.loader, fix="give one output for each label, in their order")
    yield from repeat_faults(state.module, batches[-1], state.definition.loader)


def undeclared_axes(state: ExportState, batches: list[Arrays]) -> Iterator[OnnxserveError]:
    """Yield a fault for each axis that has several sizes although the handler doesn't declare it free."""
    few, many = batches
    for name in few.keys() & many.keys():
        for axis in range(1, min(few[name].ndim, many[name].ndim)):
            sizes = few[name].shape[axis], many[name].shape[axis]
            if sizes[0] != sizes[1] and axis not in state.axes.get(name, {}):
                what = f"axis {axis} of {name} is {sizes[0]} long in one batch and {sizes[1]} in another"
                fix = f'declare it in the handler: dynamic_axes = {{"{name}": {{{axis}: "length"}}}}'
                yield DefinitionError(what, where=state.definition.handler, fix=fix)


def name_faults(module: torch.nn.Module, batch: Arrays, where: str) -> Iterator[OnnxserveError]:
    """Yield a fault if `forward` takes other names than the handler's tensors have."""
    parameters = inspect.signature(module.forward).parameters.values()
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    taken = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = [p.name for p in parameters if p.name in taken and p.default is p.empty]
    missing, unknown = [n for n in needed if n not in batch], [n for n in batch if n not in taken and not open_ended]
    if missing or unknown:
        what = f"the handler gives the tensors {', '.join(batch)}; forward takes {', '.join(taken) or 'none'}"
        yield DefinitionError(what, where=where, fix="name forward's parameters as the handler names its tensors")


def failure(error: Exception, batch: Arrays, where: str) -> OnnxserveError:
    """Return the fault of a module that raises, with the place in the user's own file."""
    shapes = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in batch.items())
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    frame = own[-1] if own else None
    lines = str(error).strip().splitlines()
    what = f"the module fails on {shapes}: {type(error).__name__}: {lines[0] if lines else 'no message'}"
    return DefinitionError(what, where=f"{frame.filename}:{frame.lineno} in {frame.name}" if frame else where)


def repeat_faults(module: torch.nn.Module, batch: Arrays, where: str) -> Iterator[OnnxserveError]:
    """Yield a fault if the module answers the same rows differently: because it keeps state, or draws numbers."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    first, again, other = (_seeded(module, batch, seed) for seed in (0, 0, 1))
    if not _differ(first, again) and not _differ(first, other):
        return
    changed = [name for name, value in module.state_dict().items() if not torch.equal(value, before[name])]
    if changed or _differ(first, again):
        kept = f"its buffer {changed[0]!r} changes" if changed else "an attribute of it changes"
        what = f"the module keeps state from one call to the next: {kept}"
        yield DefinitionError(what, where=where, fix="make state an input and an output, or begin anew in each call")
        return
    what = "the module draws random numbers: its answers to the same rows differ from one call to the next"
    fix = "remove that, or apply dropout by nn.Dropout, which eval() stops"
    yield DefinitionError(what, where=where, fix=fix)


def _seeded(module: torch.nn.Module, batch: Arrays, seed: int) -> Array:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return run_torch(module, batch)


def _differ(left: Array, right: Array) -> bool:
    if left.shape != right.shape:
        return True
    same = np.array_equal(left, right, equal_nan=True)
    return not same and not deviation(left, right, scale_of(left)) <= RANDOM
