"""Repeat the proof on this machine, from what the archive carries; it needs neither torch nor the definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from onnxserve.archive import unpack_trusted
from onnxserve.archive.evidence import PARITY, UNPROVEN, describe_loss, proof_of
from onnxserve.archive.offline import BatchOutputs, every_output
from onnxserve.archive.offline import outputs as first_outputs
from onnxserve.archive.proof import ProofRow
from onnxserve.definition import QuantiseSection
from onnxserve.errors import ArchiveError, CheckFailed
from onnxserve.scratch import Scratch
from onnxserve_handlers.outputs import FreeAxis, Outputs, pad, with_sizes
from onnxserve_handlers.registry import TASKS
from onnxserve_handlers.tasks import TaskHooks

from .archived_hooks import archived_task
from .arrays import Array, Arrays, main
from .batch_composition import ALONE, MIXED, batches, random_batches
from .criterion import AGREEMENT, FORMS, OWN, REGRESSION, Claim, Criterion
from .deviation import TOLERANCE
from .environment import versions
from .outputs import join, largest_deviation, largest_shift
from .paired_statistics import PairedStatistics, describe_excess, spread_of
from .rankings import by_query, rankings
from .recorded_proof import RecordedProof, read_record
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
    with Scratch() as scratch:
        folder = scratch
        unpack_trusted(archive, folder)
        recorded = read_record(folder)  # before any code of the archive runs, which may change files
        measure = str(recorded.summary.get("measure", ""))
        with archived_task(folder, recorded.signature, measure) as hooks:
            return repeat_proof(folder, recorded, hooks)


def check_rerun(repeated: Rerun, archive: Path) -> None:
    """Raise CheckFailed if an archive shouldn't serve on this machine by its own proof."""
    if repeated.refusal:
        fix = "export again on this kind of machine"
        raise CheckFailed("rerun", repeated.refusal, "the archive's budget", fix=fix, where=str(archive))


def repeat_proof(folder: Path, recorded: RecordedProof, hooks: TaskHooks) -> Rerun:
    """Compare the answers of an unpacked archive's handler with the recorded ones."""
    proof, summary, reference = recorded.rows, recorded.summary, recorded.reference
    size = recorded.signature["max_batch"]
    composition = random_batches(min(len(proof), MIXED), size)
    together, alone, mixed = answers(folder, recorded, size, composition)
    reference.axes, reference.sizes = together.outputs.axes, together.outputs.sizes
    criterion = criterion_of(summary, hooks, proof, reference, together.origins)
    loss = criterion.loss(reference)
    paired = loss.compare(together.outputs, float(summary.get("level", FIRST_LEVEL)))
    changed = share_changed(hooks, together.outputs, reference)
    order = list(chain.from_iterable(composition))
    shift = largest_shift(together.outputs, alone.outputs, mixed.outputs, order, recorded.scales)
    moved = largest_deviation(*pad_both(together.outputs, reference), recorded.scales)
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
    folder: Path, recorded: RecordedProof, largest: int, composition: Sequence[Sequence[int]]
) -> tuple[Answers, Answers, Answers]:
    """Return the answers in batches of `largest` rows, of rows alone, and in random batches.

    The handlers of former archives give the first output alone.
    """
    values = [row.input for row in recorded.rows]
    parts = [
        list(batches(values, largest)),
        [[value] for value in values[:ALONE]],
        [[values[index] for index in batch] for batch in composition],
    ]
    groups = list(chain.from_iterable(parts))
    if recorded.rows[0].outputs:
        rest = iter(every_output(folder, groups))
    else:
        first = first_outputs(folder, groups)
        rest = iter([BatchOutputs({"output": array.reshape(len(array), -1)}, {}, None) for array in first])
    together, alone, mixed = (join_answers([next(rest) for _ in part], recorded.free_axes) for part in parts)
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


def pad_both(left: Arrays, right: Arrays) -> tuple[Arrays, Arrays]:
    """Return outputs with zeros at the ends of the shorter ones; those that the other lacks stay as they are."""
    pairs = {name: pad([left[name], array]) for name, array in right.items() if name in left}
    return {name: pair[0] for name, pair in pairs.items()}, {**right, **{name: pair[1] for name, pair in pairs.items()}}


def share_changed(hooks: TaskHooks, outputs: Outputs, reference: Outputs) -> float:
    """Return the share of rows that get another answer; 0 for outputs of other shapes, whose deviation is infinite."""
    if any(name not in outputs or outputs[name].shape != array.shape for name, array in reference.items()):
        return 0.0
    return float(np.mean(hooks.changes(outputs, reference)))


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
    claim: Claim = "agreement" if not known or summary.get("claim") == AGREEMENT else "accuracy"
    return Criterion(
        summary["task"] if known else REGRESSION,
        claim,
        hooks,
        [row.label for row in proof],
        float(summary.get("tolerance", QuantiseSection().tolerance)),
        recorded_spreads(summary, main(reference)),
        origins,
        groups=rankings(rows, hooks, summary["task"]) if summary.get("ranks") else (),
        queries=by_query(hooks.query_of(row.value) for row in rows) if summary.get("unit") == "queries" else (),
    )


def recorded_spreads(summary: Mapping[str, Any], reference: Array) -> Array:
    """Return the scales of errors at export: one for each value of a row, or one for all, as in archives until 0.3."""
    spreads = np.atleast_1d(np.asarray(summary.get("spread") or spread_of(reference), np.float64))
    values = reference.reshape(len(reference), -1).shape[1]
    if len(spreads) not in (1, values):
        what = f"the evidence has {len(spreads)} spreads for {values} values of a row"
        raise ArchiveError(what, where="evidence.json, summary.spread", fix="export the model again")
    return spreads


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
        return "" if paired.worst_drop <= budget else f"{paired.worst_drop:z.2%} is lost, {budget:.2%} is allowed"
    return describe_excess(paired, budget, lost)
