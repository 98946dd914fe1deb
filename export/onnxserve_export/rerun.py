"""Repeat the proof on this machine, from what the archive carries; it needs neither torch nor the definition."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive import folder_signature, read_proof, unpack_trusted
from onnxserve.archive.evidence import PARITY, UNPROVEN, proof_of
from onnxserve.archive.offline import Array, outputs
from onnxserve.definition import QuantiseSection

from .acceptance import AGREEMENT
from .batch_composition import ALONE, MIXED, batches, random_batches
from .deviation import TOLERANCE, batch_shift, deviation, recorded_scale
from .environment import versions
from .paired_statistics import (
    PairedStatistics,
    compare_embeddings,
    compare_errors,
    compare_labels,
    over_budget,
    spread_of,
    value_errors,
)
from .significance_levels import FIRST_LEVEL


@dataclass(frozen=True)
class Rerun:
    """How the archive's own handler answers here the rows that its source answered at export.

    `proof` is the archive's; `recorded_bound` is of the export.
    """

    proof: str
    rows: int
    paired: PairedStatistics
    deviation: float
    batch_shift: float
    recorded_bound: float
    budget: float
    environment: dict[str, object]
    refusal: str


def rerun(archive: Path) -> Rerun:
    """Unpack, run, compare; the archive's own budget decides."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack_trusted(archive, folder)
        proof = read_proof(folder)
        signature = folder_signature(folder)
        summary = msgspec.json.decode((folder / "evidence.json").read_bytes())["summary"]
        together, alone, mixed, composition = answers(folder, [row["input"] for row in proof], signature["max_batch"])
        reference = np.array([row["output"] for row in proof], np.float32)
        scale = recorded_scale(folder, reference)
    together = together.reshape(len(together), -1)
    paired = compare(reference, together, proof, signature["output"]["labels"], summary)
    shift = batch_shift(together, alone.reshape(len(alone), -1), mixed.reshape(len(mixed), -1), composition, scale)
    kind, moved, budget = proof_of(summary), deviation(together, reference, scale), float(summary["budget"])
    changed = paired.flips if summary["task"] == "labels" else paired.drop
    why = moves_alone(shift) or refusal(kind, paired, changed, moved, budget)
    return Rerun(kind, len(proof), paired, moved, shift, float(summary["bound"]), budget, versions(), why)


def answers(folder: Path, values: list[Any], largest: int) -> tuple[Array, Array, Array, list[int]]:
    """Return outputs in the export's batches, of rows alone and in random batches, and the rows of the latter."""
    composition = random_batches(min(len(values), MIXED), largest)
    parts = [
        list(batches(values, largest)),
        [[value] for value in values[:ALONE]],
        [[values[index] for index in batch] for batch in composition],
    ]
    rest = iter(outputs(folder, list(chain.from_iterable(parts))))
    together, alone, mixed = (np.concatenate([next(rest) for _ in part]) for part in parts)
    return together, alone, mixed, list(chain.from_iterable(composition))


def compare(
    reference: Array, candidate: Array, proof: list[dict[str, Any]], labels: list[str], summary: dict[str, Any]
) -> PairedStatistics:
    """Compare with torch's outputs by the task, at the level of the export.

    A user's own metric isn't in the archive; outputs are then compared as a regression's are.
    """
    level, task = float(summary.get("level", FIRST_LEVEL)), summary["task"]
    if task == "labels" and summary.get("claim") == AGREEMENT:
        other = reference.argmax(axis=-1) != candidate.argmax(axis=-1)
        return compare_errors(other.astype(np.float64), 0.5, level)
    if task == "labels":
        index = {label: number for number, label in enumerate(labels)}
        return compare_labels(reference, candidate, np.array([index[str(row["label"])] for row in proof]), level)
    tolerance = float(summary.get("tolerance", QuantiseSection().tolerance))
    if task == "embedding":
        return compare_embeddings(reference, candidate, tolerance, level)
    spread = float(summary.get("spread", 0)) or spread_of(reference)
    return compare_errors(value_errors(reference, candidate, spread), tolerance, level)


def moves_alone(shift: float) -> str:
    """Return a refusal if answers move with the batch, else an empty text."""
    if shift <= TOLERANCE:
        return ""
    what = "of the outputs' spread with its neighbours in the batch"
    return f"a row's answer moves by {shift:.2g} {what}, {TOLERANCE:g} is allowed"


def refusal(proof: str, paired: PairedStatistics, changed: float, moved: float, budget: float) -> str:
    """Return why the archive shouldn't serve here by its own proof, an empty text when it may.

    Parity allows no changed answer. Without a proof only what is lost on these rows counts.
    """
    if proof == PARITY:
        equal = moved <= TOLERANCE and not changed
        return "" if equal else f"{changed:.2%} of answers differ, and outputs deviate by up to {moved:.2g} spreads"
    if proof == UNPROVEN:
        return "" if paired.drop <= budget else f"{paired.drop:.2%} is lost, {budget:.2%} is allowed"
    return over_budget(paired, budget)
