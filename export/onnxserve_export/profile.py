"""Step profile: the distributions of rows, labels and scores at export, for monitoring to compare live ones with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from onnxserve.archive.evidence import why_no_profile
from onnxserve.archive.offline import run_offline
from onnxserve.archive.write import pretty
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import read_signature, task_alone
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.telemetry.drift_window import MOST_ALIKE

from .arrays import Array
from .batch_composition import batches
from .export_state import ExportState
from .outputs import with_row_sizes
from .plan import rows_in_all
from .preprocess import FEW, values
from .records import DriftProfile
from .step import Step

BINS = 10
MOST_ROWS = 20_000
EMBEDDING = "embedding"  # the measure of a task whose answers are vectors
AXES = 4
TINY = 1e-12


def measure(values: npt.NDArray[Any], own_edges: Sequence[float] = (), bins: int = BINS) -> dict[str, Any]:
    """Return a histogram with edges at quantiles, or between distinct values where these are few.

    With edges at quantiles, all bins hold about as many rows. A measure such as a category has `own_edges`.
    """
    distinct = np.unique(values)
    if own_edges:
        edges = np.array(own_edges)
    elif len(distinct) <= bins:
        edges = (distinct[:-1] + distinct[1:]) / 2
    else:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def profile(
    measures: Mapping[str, Array], outputs: Outputs, task: TaskHooks, origins: Sequence[Any] | None = None
) -> dict[str, Any]:
    """Return `profile.json`: histograms of the rows' measures and of the model's answers.

    `origins` are the rows', None if the input kind has none.
    """
    predictions = task.proof_predictions(outputs, origins)
    counts = Counter(label for label in map(task.label, predictions) if label is not None)
    names = task.signature.labels
    if not counts.keys() <= set(names):  # spans have other labels than the tags of tokens
        names = tuple(sorted(counts))
    document: dict[str, Any] = {"rows": len(predictions), "labels": {label: counts[label] for label in names}}
    answers = dict(task.prediction_measures(predictions))
    if EMBEDDING in answers:
        document["embedding"], answers = embedding(answers.pop(EMBEDDING).astype(np.float64))
    known = {name: values[~np.isnan(values)] for name, values in {**measures, **answers}.items()}
    every = {name: values for name, values in known.items() if len(values)}
    edges = task.signature.input.measure_edges
    return document | {"measures": {name: measure(values, edges.get(name, ())) for name, values in every.items()}}


def embedding(vectors: npt.NDArray[np.float64]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return centre and main axes of `vectors`, shape (rows, width), and their measures: norm, cosine, components."""
    centre = vectors.mean(axis=0)
    axes = np.linalg.svd(vectors - centre, full_matrices=False)[2][:AXES]
    norms = np.linalg.norm(vectors, axis=1)
    measures = {"norm": norms, "cosine": vectors @ centre / np.maximum(norms * np.linalg.norm(centre), TINY)}
    measures |= {str(number): along for number, along in enumerate(((vectors - centre) @ axes.T).T, 1)}
    return {"centre": centre.tolist(), "axes": axes.tolist()}, {f"embedding.{name}": v for name, v in measures.items()}


def outputs_of(state: ExportState, rows: int) -> Outputs:
    """Return the chosen graph's outputs for the first certify rows, with the rows' own sizes."""
    arrays = {name: array[:rows] for name, array in state.outputs[state.chosen.variant].items()}
    return with_row_sizes(arrays, state.groups.certify.sizes(), state.row_axes)


def call(state: ExportState) -> None:
    """Measure the certify rows by the handler in the archive's folder, and the chosen graph's outputs for them.

    Where they, or their queries, are few there is no profile: drift is judged against distributions.
    """
    split = state.split
    state.profile = DriftProfile(split.units("certify"), split.unit, FEW, rows_in_all(FEW))
    if reason := why_no_profile({"drift_profile": asdict(state.profile)}):
        state.say(f"      none, so drift won't be judged: {reason}")
        return
    rows = min(MOST_ROWS, len(split.certify))
    source, target = state.scratch / "profile.jsonl", state.scratch / "profile.npz"
    with source.open("wb") as stream:
        for group in batches(islice(values(state.split.certify), rows), state.definition.serve.batch_size):
            stream.write(msgspec.json.encode(group) + b"\n")
    run_offline(state.archive_folder, "measures", source, target)
    with np.load(target) as written:
        measures = dict(written)
    [most_alike] = measures.pop(MOST_ALIKE).tolist()
    signature = read_signature(state.archive_folder)
    task, origins = task_alone(signature.output.task, signature), state.groups.certify.origins()
    document = profile(measures, outputs_of(state, rows), task, origins and origins[:rows])
    document["most_alike"] = most_alike
    (state.archive_folder / "profile.json").write_bytes(pretty(document))
    state.say(f"      {rows} rows, {len(document['measures'])} measures")


STEP = Step("profile", ("archive_folder", "split", "groups", "chosen", "outputs"), ("profile",), call)
