"""Step reference: the source's outputs, with which all later steps compare; the source is compared with itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive.write import pretty
from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve_handlers.outputs import rows_not_finite
from onnxserve_handlers.registry import read_signature, task_alone

from .acceptance import has_own_units
from .activation import check_activation, chosen_activation, describe_chosen
from .arrays import Array, Arrays, main
from .batches import write_batches
from .deviation import TOLERANCE
from .export_state import ExportState
from .golden import shortened, wrong_rows
from .outputs import (
    Shapes,
    free_output_axes,
    largest_deviation,
    largest_shift,
    scales_of,
    shapes_of,
    with_row_sizes,
)
from .preprocess import FEW
from .row_arrays import rows_at, rows_by_part
from .seeding import seed_all
from .served_task import opened_task
from .sources import SourceModel
from .step import Step

MIXED = (
    "the module mixes rows (a mean over the batch, padding that leaks): mend it, or let only texts of one length run "
    'together: [input] batch = "equal", or every row alone: [serve] batch_size = 1'
)
RANDOM = 1e-6  # spreads, below which the answer to the same rows is the same


def check_repeatable(model: SourceModel, batch: Arrays, scales: Arrays) -> None:
    """Raise CheckFailed if the source answers the same rows differently; say whether chance or its state does it."""
    before = model.state()
    first, second = model.run(batch), model.run(batch)
    moved = largest_deviation(second, first, scales)
    if moved <= RANDOM:
        return
    changed = changed_state(before, model.state())
    seeded = []
    for _ in range(2):
        seed_all(0)
        seeded.append(model.run(batch))
    if model.random_nodes:
        fix = f"{', '.join(model.random_nodes)} draw random numbers: export the model again in evaluation mode"
    elif largest_deviation(seeded[1], seeded[0], scales) <= RANDOM and not changed:
        fix = "the module draws random numbers: remove that, or apply dropout by nn.Dropout, which eval() stops"
    elif changed:
        fix = f"each call changes the module's state, {', '.join(changed)}: make the answer depend on the inputs alone"
    else:
        fix = "something that the module keeps between calls changes: make the answer depend on the inputs alone"
    raise CheckFailed(
        "reference",
        f"{model.name}'s answers to the same rows differ by {moved:.3g} of their spread from one call to the next",
        "0",
        fix=fix,
    )


def changed_state(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs between two copies of a model's state."""
    return [name for name in after if name not in before or not _same(before[name], after[name])]


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(np.array_equal(left, right))


def call(state: ExportState) -> None:
    """Run the source on all rows but the fit rows; CheckFailed if it mixes rows or gets a golden row wrong."""
    model, groups = state.model, state.groups
    # Where all rows of the probe are certify rows, they have their answers already.
    is_known = len(state.probe) == len(state.probe_places)
    first = [groups.certify] if is_known else [groups.certify, groups.probe]
    parts = [*first, groups.alone, groups.mixed, groups.select, groups.golden]
    inputs: list[Shapes] = []
    outputs: list[Shapes] = []
    path = state.scratch / "reference.npz"
    written = write_batches(run_each(model, chain.from_iterable(parts), inputs, outputs), path)
    state.output_axes, state.row_axes = free_output_axes(inputs, outputs, state.axes)
    for name in model.unbatched:  # how many boxes there are varies, even if it doesn't on these rows
        state.output_axes.setdefault(name, {}).setdefault(1, f"{name}_1")
    certify, *others, alone, mixed, select, golden = rows_by_part(written, parts, state.row_axes, state.scratch)
    path.unlink()
    probe = others[0] if others else rows_at(certify, state.probe_places, state.scratch)
    state.reference, state.probe_reference = certify, probe
    state.select_reference, state.golden_outputs = select, golden
    for name, outputs_of in {"certify": certify, "probe": probe, "select": select, "golden": golden}.items():
        check_finite(model.name, name, outputs_of)
    own_units = has_own_units(state.definition)
    state.scales = scales_of(typical_outputs(state), each=own_units, free=state.output_axes)
    shift = largest_shift(probe, alone, mixed, groups.mixed_rows, state.scales)
    if not shift <= TOLERANCE:
        raise CheckFailed(
            "reference",
            f"{model.name}'s answer to a row moves by {shift:.3g} of the outputs' spread with the other rows of its "
            "batch",
            f"{TOLERANCE:g}",
            fix=MIXED if state.split.total else f"random rows may be far from any real one: give rows. Else {MIXED}",
        )
    if fault := state.task.outputs_fault(probe):
        raise DefinitionError(fault, where=state.source_place)
    if state.definition.output.logit_activation:
        _state_activation(state, main(typical_outputs(state)))
    state.opened = opened_task(state)
    _check_golden(state)


def check_finite(model: str, name: str, outputs: Arrays) -> None:
    """Raise CheckFailed if the source gives an infinity or NaN for one of the rows of a group."""
    if rows := rows_not_finite(outputs):
        raise CheckFailed(
            "reference",
            f"{model}'s output isn't a finite number for {len(rows)} of {len(main(outputs))} {name} rows, the first is "
            f"row {rows[0]}",
            "none",
            fix="look for a logarithm or root of 0, a division by 0, or leave out the rows that the model can't answer",
        )


def run_each(
    model: SourceModel, batches: Iterable[Arrays], inputs: list[Shapes], outputs: list[Shapes]
) -> Iterator[Arrays]:
    """Yield the source's outputs for each batch; add the shapes of what it gets and gives to `inputs` and `outputs`."""
    for batch in batches:
        given = model.run(batch)
        inputs.append(shapes_of(batch))
        outputs.append(shapes_of(given))
        yield given


def typical_outputs(state: ExportState) -> Arrays:
    """Return the source's outputs for the certify rows, or for the probe rows where the former are few."""
    return state.reference if len(state.split.certify) >= FEW else state.probe_reference


def _state_activation(state: ExportState, outputs: Array) -> None:
    """Record in the signature what makes scores of the outputs, where the definition leaves it to their values.

    Raises DefinitionError where the definition says it and the values contradict it.
    """
    path = state.archive_folder / "signature.json"
    document = msgspec.json.decode(path.read_bytes())
    activation_name = document["output"]["activation"]
    if activation_name != "auto":
        if state.definition.labels and (note := check_activation(activation_name, outputs)):
            state.say(f"      {note}")
        return
    logit_activation = state.definition.output.logit_activation
    activation = chosen_activation(outputs, logit_activation)
    document["output"]["activation"] = activation
    path.write_bytes(pretty(document))
    if note := describe_chosen(activation, logit_activation, outputs):
        state.say(f"      {note}")


def _check_golden(state: ExportState) -> None:
    batches, hooks = state.groups.golden, state.opened
    outputs = with_row_sizes(state.golden_outputs, batches.sizes(), state.row_axes)
    for number in wrong_rows(state.golden, hooks, outputs, batches.origins(), state.scales)[:1]:
        row, task = state.golden[number], task_alone(state.definition.output.task, read_signature(state.archive_folder))
        answer = task.predictions(outputs.take(slice(number, number + 1)), None)[0]
        known = task.label(answer) if isinstance(row["label"], str) else None
        raise CheckFailed(
            "reference",
            f"{state.model.name} answers {shortened(known or answer)} to a golden row",
            shortened(row["label"]),
            fix="correct the label in golden.jsonl, or the model",
            where=shortened(row["input"]),
        )


STEP = Step(
    "reference",
    ("model", "groups"),
    (
        "reference",
        "probe_reference",
        "select_reference",
        "scales",
        "golden_outputs",
        "output_axes",
        "row_axes",
        "opened",
    ),
    call,
)
