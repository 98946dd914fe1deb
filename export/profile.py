"""Step profile: how rows, labels and scores were spread when the model was proven, to compare live ones with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from onnxserve.archive.offline import run_offline
from onnxserve.archive.write import pretty

from .company import batches
from .stage import values
from .step import Step
from .work import Array, Work

BINS = 10
MOST_ROWS = 20_000


def measure(found: npt.NDArray[Any], bins: int = BINS) -> dict[str, Any]:
    """Edges at quantiles, so that each bin holds about as many rows; where values repeat, between them."""
    distinct = np.unique(found)
    if len(distinct) <= bins:
        edges = (distinct[:-1] + distinct[1:]) / 2
    else:
        edges = np.unique(np.quantile(found, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, found, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def best(outputs: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Label and score of each row, as handlers round it."""
    shifted = outputs.astype(np.float64) - outputs.max(axis=-1, keepdims=True)
    return outputs.argmax(axis=-1), np.round(1 / np.exp(shifted).sum(axis=-1), 6)


def profile(measures: dict[str, npt.NDArray[Any]], outputs: Array, labels: Sequence[str]) -> dict[str, Any]:
    """`profile.json`."""
    found: dict[str, Any] = {name: measure(values) for name, values in measures.items()}
    counts: dict[str, int] = {}
    if labels:
        places, scores = best(outputs)
        found["score"] = measure(scores)
        said = np.bincount(places, minlength=len(labels))
        counts = dict(zip(labels, said.tolist(), strict=True))
    return {"rows": len(outputs), "measures": found, "labels": counts}


def call(work: Work) -> None:
    """The certify rows through the staged handler; their outputs are torch's, within the evidence's deviation."""
    rows = min(MOST_ROWS, len(work.split.certify))
    source, target = work.scratch / "profile.jsonl", work.scratch / "profile.npz"
    with source.open("wb") as stream:
        for group in batches(islice(values(work.split.certify), rows), work.definition.serve.batch_size):
            stream.write(msgspec.json.encode(group) + b"\n")
    run_offline(work.stage, "measures", source, target)
    with np.load(target) as arrays:
        found = profile(dict(arrays), work.reference[:rows], work.definition.labels)
    (work.stage / "profile.json").write_bytes(pretty(found))
    work.say(f"      {rows} rows, {len(found['measures'])} measures")


STEP = Step("profile", ("stage", "split", "reference"), (), call)
