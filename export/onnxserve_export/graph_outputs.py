"""A graph's outputs for batches of rows, on disk: each step reads its part, and not all must fit in memory."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path

from .arrays import Arrays, Axes
from .batches import Batches
from .row_arrays import rows_by_part
from .run import GraphProcess, start_outputs, widen_half_floats
from .variants import CPU


class GraphOutputs:
    """Outputs of a graph for batches that follow each other in one file, kept in `folder` as long as this object.

    A process of its own computes them from now on, while this one does other work; `close` ends it.
    """

    def __init__(self, model: Path, batches: Batches, axes: Axes, folder: Path, provider: str = CPU) -> None:
        self._first, self._axes, self._folder = batches.start, axes, folder
        descriptor, path = tempfile.mkstemp(suffix=".npz", dir=folder)
        os.close(descriptor)  # an open file keeps its room on disk
        self._path = Path(path)
        self._process = start_outputs(model, batches, self._path, provider)
        self.close = weakref.finalize(self, _discard, self._process, self._path)

    def of(self, part: Batches) -> Arrays:
        """Return the outputs for some of the batches as arrays of rows on disk, cut to their own sizes along the axes.

        Half floats are float32. The first call waits for all batches; GraphCrashed if the graph can't be loaded or run.
        """
        self._process.wait()
        start = part.start - self._first
        [outputs] = rows_by_part(Batches(self._path, start, start + len(part)), [part], self._axes, self._folder)
        return widen_half_floats(outputs)


def _discard(process: GraphProcess, path: Path) -> None:
    process.end()
    path.unlink(missing_ok=True)


def outputs_for(model: Path, batches: Batches, axes: Axes, folder: Path, provider: str = CPU) -> Arrays:
    """Run a graph on batches, of which there may be none, and return its outputs; GraphCrashed if it can't run.

    The outputs are on disk, and take room in `folder` until nobody uses them.
    """
    if not len(batches):
        return {}
    return GraphOutputs(model, batches, axes, folder, provider).of(batches)
