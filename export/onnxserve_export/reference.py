"""Step reference: torch's outputs, to which all later steps compare; before, torch is compared with itself."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

from onnxserve.archive.write import pretty
from onnxserve.errors import CheckFailed, DefinitionError

from .acceptance import task_of
from .arrays import Array, Arrays
from .batches import concatenated
from .deviation import TOLERANCE, batch_shift, deviation, scale_of
from .export_state import ExportState
from .output_similarity import activation_of
from .preprocess import FEW
from .step import Step

RANDOM = 1e-6  # spreads, below which torch's answer to the same rows is the same


def run_torch(module: torch.nn.Module, arrays: Arrays) -> Array:
    """Return the module's output for one batch, passed by the names of its tensors, shape (rows, ...), float32.

    DefinitionError if the output isn't one tensor with a row for each row of the batch.
    """
    with torch.inference_mode():
        output = module(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    if not isinstance(output, torch.Tensor):
        raise DefinitionError(
            f"the module gives {type(output).__name__}; one tensor is expected",
            fix="wrap it in a module that returns the logits (or values) alone",
        )
    rows = len(next(iter(arrays.values())))
    if output.ndim < 2 or len(output) != rows:
        raise DefinitionError(f"the module gives shape {tuple(output.shape)} for {rows} rows; (rows, ...) is expected")
    return output.numpy().astype(np.float32)


def call(state: ExportState) -> None:
    """Run torch on select, certify, probe and golden rows; CheckFailed if answers aren't repeatable or rows mix."""
    module, groups, labels = state.module, state.groups, state.definition.labels
    state.reference = concatenated(run_torch(module, batch) for batch in groups.certify)
    state.select_reference = concatenated(run_torch(module, batch) for batch in groups.select)
    state.probe_reference = concatenated(run_torch(module, batch) for batch in groups.probe)
    state.scale = scale_of(typical_outputs(state), each=task_of(state.definition) == "regression")
    first = groups.probe.first_batch()
    again = deviation(run_torch(module, first), run_torch(module, first), state.scale)
    if again > RANDOM:
        raise CheckFailed(
            "reference",
            f"torch's answers to the same rows differ by {again:.3g} of their spread from one call to the next",
            "0",
            fix="the module draws random numbers: remove that, or apply dropout by nn.Dropout, which eval() stops",
        )
    alone = concatenated(run_torch(module, batch) for batch in groups.alone)
    mixed = concatenated(run_torch(module, batch) for batch in groups.mixed)
    shift = batch_shift(state.probe_reference, alone, mixed, groups.mixed_rows, state.scale)
    if not shift <= TOLERANCE:
        raise CheckFailed(
            "reference",
            f"torch's answer to a row moves by {shift:.3g} of the outputs' spread with the other rows of its batch",
            f"{TOLERANCE:g}",
            fix="the module mixes rows (a mean over the batch, padding that leaks): mend it",
        )
    if labels and (given := state.probe_reference.shape[1:]) != (len(labels),):
        raise DefinitionError(f"the module gives {given} outputs a row for {len(labels)} labels")
    if labels:
        _state_activation(state)
    state.golden_outputs = run_torch(module, groups.golden.first_batch())
    _check_golden(state)


def typical_outputs(state: ExportState) -> Array:
    """Return the source's outputs for the certify rows, or for the probe rows where the former are few."""
    return state.reference if len(state.reference) >= FEW else state.probe_reference


def _state_activation(state: ExportState) -> None:
    """Record in the signature whether outputs are scores already, so that handlers don't apply a softmax again."""
    path, activation = state.archive_folder / "signature.json", activation_of(typical_outputs(state))
    path.write_bytes(pretty(msgspec.json.decode(path.read_bytes()) | {"activation": activation}))
    if activation == "none":
        state.say("      the outputs are probabilities: they are the scores, without another softmax")


def _check_golden(state: ExportState) -> None:
    labels = state.definition.labels
    for row, output in zip(state.golden, state.golden_outputs, strict=True):
        if labels and row["label"] is not None and labels[int(output.argmax())] != row["label"]:
            raise CheckFailed(
                "reference",
                f"torch answers {labels[int(output.argmax())]!r} to a golden row",
                repr(row["label"]),
                fix="correct the label in golden.jsonl, or the model",
                where=str(row["input"])[:120],
            )


STEP = Step(
    "reference",
    ("module", "groups"),
    ("reference", "probe_reference", "select_reference", "scale", "golden_outputs"),
    call,
)
