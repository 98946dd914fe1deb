"""Step preprocess: let the handler in the archive's folder turn every row into tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from onnxserve.archive.offline import axis_limits, least_sizes, part_counts, samples, tensors

from .arrays import Array, Arrays
from .batch_composition import ALONE, MIXED, batches, random_batches, spread
from .batches import Batches
from .early_imports import QUANTISER, importing
from .export_state import ExportState, Groups
from .sources import SourceModel
from .step import Step
from .subset import Subset
from .variants import INT8, SEARCHED

BATCH = "batch "
BATCHES = (1, 2, 3, 5, 7)
FEW = 20  # rows below which generated ones help to check the source
GENERATED = 64  # rows within the signature, on which fp32 must answer as its source does


def by_size(values: Iterable[Any]) -> list[Any]:
    """Return values by the length of their text, so that batches of them pad little."""
    return sorted(values, key=lambda value: len(str(value)))


def shape_groups(values: Sequence[Any], largest: int) -> dict[str, list[Any]]:
    """Return a batch of every size, once of the longest and once of the shortest rows, by readable names.

    Where rows run alone, there is one size.
    """
    ordered = by_size(values)
    sizes = sorted({*BATCHES, largest}) if largest > 1 else [1]
    long = {f"{BATCH}{size}, long rows": ordered[-size:] for size in sizes}
    return long | {f"{BATCH}{size}, short rows": ordered[:size] for size in sizes}


def first_batches(shapes: Mapping[str, Batches]) -> dict[str, Arrays]:
    """Return the first batch of each group, of as many rows as its name says.

    Rows that run only with others of their size are repeated: a graph that was traced or checked with one row alone
    may hold no other number.
    """
    firsts = {name: batches.first_batch() for name, batches in shapes.items()}
    sizes = {name: int(name.removeprefix(BATCH).partition(",")[0]) for name in firsts}
    return {name: {own: repeated(array, sizes[name]) for own, array in batch.items()} for name, batch in firsts.items()}


def repeated(array: Array, rows: int) -> Array:
    """Return the rows of an array again and again, until there are as many."""
    return np.take(array, np.arange(rows) % len(array), axis=0)


class Layout:
    """Groups of instances in the order in which they are written, in parts that are read back apart."""

    def __init__(self) -> None:
        self._parts: list[Iterable[list[Any]]] = []
        self._sizes: list[int] = []

    def add(self, groups: Iterable[list[Any]], count: int) -> None:
        """Add a part of `count` groups."""
        self._parts.append(groups)
        self._sizes.append(count)

    def __iter__(self) -> Iterator[list[Any]]:
        return chain.from_iterable(self._parts)

    def cut(self, path: Path) -> list[Batches]:
        """Return the parts as batches of the file; a group whose rows may not run together is several batches."""
        stops = [0, *accumulate(part_counts(path))]
        ends = [stops[end] for end in accumulate(self._sizes, initial=0)]
        return [Batches(path, start, stop) for start, stop in pairwise(ends)]


def values(subset: Subset) -> Iterator[Any]:
    """Yield the rows' values from disk."""
    return (row.value for row in subset)


def probe_rows(state: ExportState, generated: Sequence[Any]) -> list[Any]:
    """Return the rows that the source and batches are checked with: certify rows first, others where these are few.

    Generated rows are among them only where there are hardly any others.
    """
    most, split = max(MIXED, 2 * state.definition.serve.batch_size), state.split
    golden = [row["input"] for row in state.golden]
    state.probe_places = spread(len(split.certify), most)  # neighbours among them are of one size
    certify = [row.value for row in split.certify.at(state.probe_places)]
    others = chain.from_iterable(map(values, (split.select, split.calibrate, split.fit)))
    probe = list(islice(chain(certify, others, golden), most))
    return probe if len(probe) >= FEW else [*probe, *generated]


def call(state: ExportState) -> None:
    """Let the handler turn all rows into tensors; generated ones are left out where the source fails on any of them.

    A source needn't answer every row that the signature allows: random numbers may be none of its categories. So this
    refuses no model, but its user is told, since clients may send such rows. Without rows, generated ones are all that
    there is, and the step `check` has tried some of them.
    """
    make_tensors(state, samples(state.archive_folder, GENERATED))
    if state.split.total and (reason := failure_on(state.model, state.groups.generated)):
        state.say(f"      {state.model.name} fails on rows generated within the signature, so only yours are compared")
        state.say(f"      a client's row may fail alike, or get an answer that nothing proves: {reason}")
        make_tensors(state, [])


def failure_on(model: SourceModel, batches: Iterable[Arrays]) -> str:
    """Return why a source can't answer batches, empty if it can."""
    try:
        for batch in batches:
            model.run(batch)
    except Exception as error:  # noqa: BLE001 - whatever a user's module raises
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    return ""


def make_tensors(state: ExportState, generated: Sequence[Any]) -> None:
    """Let the handler in the archive's folder turn all rows and these into tensors."""
    state.probe = probe = probe_rows(state, generated)
    size, split, layout = state.definition.serve.batch_size, state.split, Layout()
    composition = random_batches(min(len(probe), MIXED), size)
    shapes = shape_groups(probe, size)
    fit = by_size(islice(values(split.fit), MIXED))
    # Certify rows come first, since later steps run the others together without them. Golden rows follow the select
    # rows: the search runs both.
    layout.add(batches(values(split.certify), size), math.ceil(len(split.certify) / size))
    layout.add(batches(values(split.calibrate), size), math.ceil(len(split.calibrate) / size))
    layout.add(batches(fit, size), math.ceil(len(fit) / size))
    layout.add(batches(by_size(generated), size), math.ceil(len(generated) / size))
    layout.add(batches(values(split.select), size), math.ceil(len(split.select) / size))
    golden_rows = [row["input"] for row in state.golden]
    together = len(golden_rows) if size > 1 else 1
    layout.add(batches(golden_rows, together), len(golden_rows) // together)
    layout.add(batches(probe, size), math.ceil(len(probe) / size))
    layout.add(batches(probe[:ALONE], 1), min(ALONE, len(probe)))
    layout.add([[probe[index] for index in batch] for batch in composition], len(composition))
    for group in shapes.values():
        layout.add([group], 1)
    path = state.scratch / "tensors.npz"
    with importing(QUANTISER if {INT8, SEARCHED}.intersection(state.plan.variants) else ()):
        state.axes = tensors(state.archive_folder, layout, path)
    state.limits, state.least = axis_limits(path, state.axes), least_sizes(path)
    certify, calibrate, first_fit, random, select, golden, checked, alone, mixed, *rest = layout.cut(path)
    state.groups = Groups(
        calibrate,
        first_fit,
        random,
        select,
        certify,
        checked,
        alone,
        mixed,
        list(chain.from_iterable(composition)),
        dict(zip(shapes, rest, strict=True)),
        golden,
    )


def single_row_batches(state: ExportState, name: str, instances: Iterable[Any], count: int) -> Batches:
    """Return `count` instances in batches of one, which need no padding; they are made once."""
    path = state.scratch / f"alone-{name}.npz"
    if not path.exists():
        tensors(state.archive_folder, batches(instances, 1), path)
    return Batches(path, 0, count)


def served_batches(state: ExportState, groups: int) -> list[Arrays]:
    """Return the first probe batches, each in the parts that the handler would run: rows of one length together."""
    path = state.scratch / "served.npz"
    size = state.definition.serve.batch_size
    tensors(state.archive_folder, islice(batches(state.probe, size), groups), path, parts=True)
    with np.load(path) as arrays:
        count = len({number for key in arrays.files if (number := key.partition("/")[0]).isdigit()})
    return list(Batches(path, 0, count))


def certify_alone(state: ExportState) -> Batches:
    """Return the certify rows one by one, for variants that may serve only one row at a time."""
    return single_row_batches(state, "certify", values(state.split.certify), len(state.split.certify))


def probe_alone(state: ExportState) -> Batches:
    """Return the probe rows one by one, for such variants."""
    return single_row_batches(state, "probe", state.probe, len(state.probe))


def select_alone(state: ExportState) -> Batches:
    """Return the select rows one by one, for such variants."""
    return single_row_batches(state, "select", values(state.split.select), len(state.split.select))


def golden_alone(state: ExportState) -> Batches:
    """Return the golden rows one by one, for such variants."""
    return single_row_batches(state, "golden", (row["input"] for row in state.golden), len(state.golden))


STEP = Step("preprocess", ("split", "golden", "archive_folder"), ("groups", "axes", "limits", "least", "probe"), call)
