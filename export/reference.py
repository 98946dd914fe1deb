"""Step reference: torch's own answers, which everything after is held to; torch is held to itself first."""

from __future__ import annotations

import numpy as np
import torch

from onnxserve.errors import CheckFailed, DefinitionError

from .step import Step
from .work import Array, Arrays, Work

# Relative to the largest output: kernels for other batch sizes add in another order.
TOLERANCE = 1e-3


def run_torch(module: torch.nn.Module, arrays: Arrays) -> Array:
    """The module's output for one group, called by the names of its tensors."""
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


def deviation(left: Array, right: Array) -> float:
    """Largest absolute difference, relative to the largest magnitude of `right` where that is above 1."""
    if left.shape != right.shape:
        return float("inf")
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    worst = float(np.abs(left - right).max(initial=0.0)) / scale
    return worst if np.isfinite(worst) else float("inf")


def call(work: Work) -> None:
    """Reference outputs for the certify rows and the golden rows."""
    outputs = [run_torch(work.module, group) for group in work.groups.certify]
    work.reference = np.concatenate(outputs)
    alone = np.concatenate([run_torch(work.module, group) for group in work.groups.alone])
    shift = deviation(alone, work.reference[: len(alone)])
    if not shift <= TOLERANCE:
        raise CheckFailed(
            "reference",
            f"torch's answer to a row moves by {shift:.3g} with the other rows of its batch",
            f"{TOLERANCE:g}",
            fix="the module mixes rows (a mean over the batch, padding that leaks): mend it",
        )
    labels = work.definition.labels
    if labels and work.reference.shape[1:] != (len(labels),):
        raise DefinitionError(f"the module gives {work.reference.shape[1:]} outputs a row for {len(labels)} labels")
    work.golden_outputs = run_torch(work.module, work.groups.golden)
    _check_golden(work)


def _check_golden(work: Work) -> None:
    labels = work.definition.labels
    for row, output in zip(work.golden, work.golden_outputs, strict=True):
        if labels and row["label"] is not None and labels[int(output.argmax())] != row["label"]:
            raise CheckFailed(
                "reference",
                f"torch answers {labels[int(output.argmax())]!r} to a golden row",
                repr(row["label"]),
                fix="correct the label in golden.jsonl, or the model",
                where=str(row["input"])[:120],
            )


STEP = Step("reference", ("module", "groups"), ("reference", "golden_outputs"), call)
