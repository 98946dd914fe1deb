"""A graph's outputs for batches of rows, on disk: each step reads its part, and not all must fit in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .arrays import Arrays, Axes
from .batches import Batches
from .outputs import cut, join
from .run import in_full, run_batches


class GraphOutputs:
    """Outputs of a graph for batches that follow each other in one file, kept in `folder`.

    GraphCrashed if the graph can't be loaded or run.
    """

    def __init__(self, model: Path, batches: Batches, axes: Axes, folder: Path) -> None:
        self._first, self._axes = batches.start, axes
        self._path = Path(tempfile.mkstemp(suffix=".npz", dir=folder)[1])
        run_batches(model, batches, self._path)

    def of(self, part: Batches) -> Arrays:
        """Return the outputs for some of the batches as arrays of rows, cut to their own sizes along the axes."""
        start, left = part.start - self._first, part.pads_left()
        runs = zip(Batches(self._path, start, start + len(part)), part.sizes(), strict=True)
        return join(cut(in_full(outputs), sizes, self._axes, pads_left=left) for outputs, sizes in runs)


def outputs_for(model: Path, batches: Batches, axes: Axes) -> Arrays:
    """Run a graph on batches, of which there may be none, and return its outputs; GraphCrashed if it can't run."""
    if not len(batches):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return GraphOutputs(model, batches, axes, Path(folder)).of(batches)
