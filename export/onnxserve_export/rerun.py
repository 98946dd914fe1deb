"""The proof once more, on this machine, from what the archive carries; needs neither torch nor the definition."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive import read_proof, unpack_trusted
from onnxserve.archive.offline import Array, outputs
from onnxserve.definition import QuantiseSection

from .company import ALONE, MIXED, batches, random_batches
from .deviation import TOLERANCE, batch_shift, deviation, recorded_scale
from .environment import versions
from .levels import FIRST
from .paired import (
    Paired,
    compare_embeddings,
    compare_errors,
    compare_labels,
    over_budget,
    spread_of,
    value_errors,
)


@dataclass(frozen=True)
class Rerun:
    """What the archive's own handler gives here for the rows that torch answered at export."""

    rows: int
    paired: Paired
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
        signature = msgspec.json.decode((folder / "signature.json").read_bytes())
        summary = msgspec.json.decode((folder / "evidence.json").read_bytes())["summary"]
        proof = read_proof(folder)
        together, alone, mixed, company = answers(folder, [one["input"] for one in proof], signature["max_batch"])
        reference = np.array([one["output"] for one in proof], np.float32)
        scale = recorded_scale(folder, reference)
    together = together.reshape(len(together), -1)
    paired = compare(reference, together, proof, signature["labels"], summary)
    shift = batch_shift(together, alone.reshape(len(alone), -1), mixed.reshape(len(mixed), -1), company, scale)
    found = (len(proof), paired, deviation(together, reference, scale), shift)
    budget = float(summary["budget"])
    return Rerun(*found, float(summary["bound"]), budget, versions(), refusal(paired, shift, budget))


def answers(folder: Path, values: list[Any], largest: int) -> tuple[Array, Array, Array, list[int]]:
    """Outputs in the export's batches, alone, and in random company, and who that was."""
    company = random_batches(min(len(values), MIXED), largest)
    parts = [
        list(batches(values, largest)),
        [[value] for value in values[:ALONE]],
        [[values[index] for index in batch] for batch in company],
    ]
    found = iter(outputs(folder, list(chain.from_iterable(parts))))
    together, alone, mixed = (np.concatenate([next(found) for _ in part]) for part in parts)
    return together, alone, mixed, list(chain.from_iterable(company))


def compare(
    reference: Array, found: Array, proof: list[dict[str, Any]], labels: list[str], summary: dict[str, Any]
) -> Paired:
    """By the task, at the level of the export.

    A metric of the user's own isn't in the archive, so answers are compared with torch's instead.
    """
    level, task = float(summary.get("level", FIRST)), summary["task"]
    if task == "labels":
        index = {label: number for number, label in enumerate(labels)}
        return compare_labels(reference, found, np.array([index[str(row["label"])] for row in proof]), level)
    tolerance = float(summary.get("tolerance", QuantiseSection().tolerance))
    if task == "embedding":
        return compare_embeddings(reference, found, tolerance, level)
    spread = float(summary.get("spread", 0)) or spread_of(reference)
    return compare_errors(value_errors(reference, found, spread), tolerance, level)


def refusal(paired: Paired, shift: float, budget: float) -> str:
    """Why the archive shouldn't serve here, empty when it may."""
    if not shift <= TOLERANCE:
        what = "of the outputs' spread with its neighbours in the batch"
        return f"a row's answer moves by {shift:.2g} {what}, {TOLERANCE:g} is allowed"
    return over_budget(paired, budget)
