"""Repeat the proof on this machine, from what the archive carries; it needs neither torch nor the definition."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive import folder_signature, read_proof, unpack_trusted
from onnxserve.archive.evidence import PARITY, UNPROVEN, describe_loss, proof_of
from onnxserve.archive.offline import BatchOutputs, every_output
from onnxserve.archive.offline import outputs as first_outputs
from onnxserve.archive.proof import ProofRow, proof_outputs
from onnxserve.definition import QuantiseSection
from onnxserve_handlers.outputs import FreeAxis, Outputs, pad, with_sizes
from onnxserve_handlers.registry import TASKS, task, task_alone
from onnxserve_handlers.signature import InputOptions, OutputOptions, Signature
from onnxserve_handlers.tasks import TaskHooks

from .arrays import Arrays, main
from .batch_composition import ALONE, MIXED, batches, random_batches
from .criterion import AGREEMENT, FORMS, OWN, REGRESSION, Claim, Criterion
from .deviation import TOLERANCE, recorded_scale, scale_of
from .environment import versions
from .outputs import join, largest_deviation, largest_shift
from .paired_statistics import PairedStatistics, describe_excess, spread_of
from .rankings import by_query, rankings
from .served_class import archived_handler
from .significance_levels import FIRST_LEVEL
from .subset import Row


@dataclass(frozen=True)
class Rerun:
    """How the archive's own handler answers here the rows that its source answered at export.

    `proof` is the archive's; `recorded_bound` is of the export, None where it had no bound. `loss` is in words.
    """

    proof: str
    rows: int
    paired: PairedStatistics
    loss: str
    deviation: float
    batch_shift: float
    recorded_bound: float | None
    budget: float
    environment: dict[str, object]
    refusal: str


def rerun(archive: Path) -> Rerun:
    """Run an archive's proof rows here and compare them with the source's answers; its own budget decides."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack_trusted(archive, folder)
        proof = read_proof(folder)
        hooks, size = archived_task(folder), folder_signature(folder)["max_batch"]
        summary = msgspec.json.decode((folder / "evidence.json").read_bytes())["summary"]
        reference = Outputs(proof_outputs(proof))
        composition = random_batches(min(len(proof), MIXED), size)
        together, alone, mixed = answers(folder, proof, size, composition)
        scales = scales_of(folder, reference)
        reference.axes, reference.sizes = together.outputs.axes, together.outputs.sizes
        criterion = criterion_of(summary, hooks, proof, reference, together.origins)
        loss = criterion.loss(reference)
        paired = loss.compare(together.outputs, float(summary.get("level", FIRST_LEVEL)))
        changed = share_changed(hooks, together.outputs, reference)
    shift = largest_shift(
        together.outputs, alone.outputs, mixed.outputs, list(chain.from_iterable(composition)), scales
    )
    moved = largest_deviation(*pad_both(together.outputs, reference), scales)
    kind, budget = proof_of(summary), float(summary["budget"])
    why = batch_shift_refusal(shift) or refusal(kind, paired, changed, moved, budget, loss.lost)
    words = describe_loss(
        vars(paired), criterion.task, criterion.claim, criterion.tolerance, summary.get("measure", "")
    )
    bound = summary.get("bound")
    return Rerun(kind, len(proof), paired, words, moved, shift, bound, budget, versions(), why)


@dataclass(frozen=True)
class Answers:
    """All outputs of some rows, and the rows' origins."""

    outputs: Outputs
    origins: list[Any] | None


def answers(
    folder: Path, proof: Sequence[ProofRow], largest: int, composition: Sequence[Sequence[int]]
) -> tuple[Answers, Answers, Answers]:
    """Return the answers in the export's batches, of rows alone, and in random batches.

    The handlers of former archives give the first output alone.
    """
    values = [row.input for row in proof]
    parts = [
        list(batches(values, largest)),
        [[value] for value in values[:ALONE]],
        [[values[index] for index in batch] for batch in composition],
    ]
    groups = list(chain.from_iterable(parts))
    if proof[0].outputs:
        rest = iter(every_output(folder, groups))
    else:
        first = first_outputs(folder, groups)
        rest = iter([BatchOutputs({"output": array.reshape(len(array), -1)}, {}, None) for array in first])
    axes = free_axes(folder)
    together, alone, mixed = (join_answers([next(rest) for _ in part], axes) for part in parts)
    return together, alone, mixed


def join_answers(parts: Sequence[BatchOutputs], axes: Sequence[FreeAxis]) -> Answers:
    """Return the answers of several batches, with the rows' own sizes along free axes."""
    names = set.intersection(*(set(part.sizes) for part in parts))
    sizes = {name: list(chain.from_iterable(part.sizes[name] for part in parts)) for name in sorted(names)}
    outputs = join(part.arrays for part in parts)
    known = [axis for axis in axes if axis.name in names and axis.output in outputs]
    origins = [part.origins for part in parts if part.origins is not None]
    return Answers(
        with_sizes(outputs, known, sizes), list(chain.from_iterable(origins)) if len(origins) == len(parts) else None
    )


def free_axes(folder: Path) -> list[FreeAxis]:
    """Return the free axes beside the batch of an unpacked archive's outputs."""
    return [
        FreeAxis(tensor["name"], axis, size)
        for tensor in folder_signature(folder)["outputs"]
        for axis, size in enumerate(tensor["shape"])
        if axis and isinstance(size, str)
    ]


def pad_both(left: Arrays, right: Arrays) -> tuple[Arrays, Arrays]:
    """Return outputs with zeros at the ends of the shorter ones; those that the other lacks stay as they are."""
    pairs = {name: pad([left[name], array]) for name, array in right.items() if name in left}
    return {name: pair[0] for name, pair in pairs.items()}, {**right, **{name: pair[1] for name, pair in pairs.items()}}


def scales_of(folder: Path, reference: Arrays) -> Arrays:
    """Return the units of deviations: the recorded one of the main output, and the spreads of the others."""
    first = next(iter(reference))
    return {
        name: recorded_scale(folder, array) if name == first else scale_of(array) for name, array in reference.items()
    }


def share_changed(hooks: TaskHooks, outputs: Outputs, reference: Outputs) -> float:
    """Return the share of rows that get another answer; 0 for outputs of other shapes, whose deviation is infinite."""
    if any(name not in outputs or outputs[name].shape != array.shape for name, array in reference.items()):
        return 0.0
    changes = getattr(hooks, "changes", None)  # a handler of the user's own in an archive until 0.3 lacks it
    return float(np.mean(changes(outputs, reference))) if changes else 0.0


def archived_task(folder: Path) -> TaskHooks:
    """Return the hooks of an unpacked archive's task, or of the user's own handler in it."""
    if own := archived_handler(folder):
        return own
    document = folder_signature(folder)["output"]
    name = document["task"] if document["task"] in TASKS else ""
    # A handler of a user's own may have labels without a task.
    alone = OutputOptions(labels=tuple(document.get("labels", ())))
    options: OutputOptions = msgspec.convert(document, task(name).output_options) if name else alone
    return task_alone(name, Signature("", "", "", "", InputOptions(), options, (), (), 1))


def criterion_of(
    summary: Mapping[str, Any],
    hooks: TaskHooks,
    proof: Sequence[ProofRow],
    reference: Outputs,
    origins: Sequence[Any] | None,
) -> Criterion:
    """Return the criterion of the export.

    A user's own metric isn't in the archive; outputs are then compared as a regression's are.
    """
    known = summary["task"] in (*FORMS, *TASKS, OWN)
    rows = [Row(row.input, row.label) for row in proof]
    are_queries = known and summary.get("unit") == "queries" and not summary.get("ranks")
    claim: Claim = "agreement" if not known or summary.get("claim") == AGREEMENT else "accuracy"
    return Criterion(
        summary["task"] if known else REGRESSION,
        claim,
        hooks,
        [row.label for row in proof],
        float(summary.get("tolerance", QuantiseSection().tolerance)),
        float(summary.get("spread", 0)) or spread_of(main(reference)),
        origins,
        groups=rankings(rows, hooks, summary["task"]) if summary.get("ranks") else (),
        queries=by_query(hooks.query_of(row.value) for row in rows) if are_queries else (),
    )


def batch_shift_refusal(shift: float) -> str:
    """Return a refusal if answers move with the batch, else an empty text."""
    if shift <= TOLERANCE:
        return ""
    what = "of the outputs' spread with its neighbours in the batch"
    return f"a row's answer moves by {shift:.2g} {what}, {TOLERANCE:g} is allowed"


def refusal(proof: str, paired: PairedStatistics, changed: float, moved: float, budget: float, lost: str) -> str:
    """Return why the archive shouldn't serve here by its own proof, an empty text when it may.

    Parity allows no changed answer. Without a proof only what is lost on these rows counts.
    """
    if proof == PARITY:
        equal = moved <= TOLERANCE and not changed
        return "" if equal else f"{changed:.2%} of answers differ, and outputs deviate by up to {moved:.2g} spreads"
    if proof == UNPROVEN:
        return "" if paired.worst_drop <= budget else f"{paired.worst_drop:.2%} is lost, {budget:.2%} is allowed"
    return describe_excess(paired, budget, lost)
