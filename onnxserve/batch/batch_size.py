"""The number of rows that run together: as many as the export proved, or more if the archive's proof rows allow it.

An answer that changes with its neighbours is another answer, so evidence for single rows says nothing about batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxserve.archive import read_proof
from onnxserve.archive.deviation import TOLERANCE, deviation, recorded_scale, scale_of
from onnxserve.errors import ArchiveError, BatchError
from onnxserve_handlers.outputs import pad

COLUMNAR_ROWS = 1024  # without padding larger batches are hardly faster, smaller ones are slower
FIX = "leave out --batch, or export with a larger serve.batch_size"


class Handler(Protocol):
    """The part of an archive's handler that is needed here."""

    def resize(self, batch: int) -> None:
        """Let at most `batch` rows run together."""

    def outputs(self, values: Sequence[Any]) -> npt.NDArray[Any]:
        """Return the first output, shape (rows, outputs), which is all that archives until 0.3 can give."""


def choose_batch_size(folder: Path, handler: Handler, proven: int, requested: int, *, columnar: bool) -> int:
    """Return `requested`, or the best number if it is 0; ArchiveError or BatchError if so many are unproven."""
    if requested:
        if requested > proven:
            check_size(folder, handler, proven, requested)
        return requested
    if columnar and proven > 1:
        try:
            check_size(folder, handler, proven, COLUMNAR_ROWS)
        except (ArchiveError, BatchError):
            return proven
        return COLUMNAR_ROWS
    return proven


def check_size(folder: Path, handler: Handler, proven: int, size: int) -> None:
    """Raise BatchError unless the proof rows get the same answers in batches of `size`, also in reverse order."""
    values = [row.input for row in read_proof(folder)]
    values = list(islice(cycle(values), max(size, len(values))))
    small = _run(handler, values, proven)
    main, *others = small
    scales = {main: recorded_scale(folder, small[main])} | {name: scale_of(small[name]) for name in others}
    shift = 0.0
    try:
        for step in (1, -1):
            large = _run(handler, values[::step], size)
            shift = max(shift, *(deviation(large[name], small[name][::step], scales[name]) for name in small))
    except Exception as error:  # whatever the archive's copy of a handler raises
        what = f"{size} rows together are not proven: the graph fails on them, it takes at most {proven}"
        raise BatchError(what, where="--batch", fix=FIX) from error
    if not shift <= TOLERANCE:
        raise BatchError(
            f"{size} rows together are not proven: the archive's answers move by {shift:.2g} of their spread against "
            f"{proven} together",
            where="--batch",
            fix=FIX,
        )


def _run(handler: Handler, values: Sequence[Any], size: int) -> dict[str, npt.NDArray[Any]]:
    """Return all outputs by name, those of shorter rows with zeros at their ends."""
    handler.resize(size)
    run = getattr(handler, "every_output", lambda rows: {"output": handler.outputs(rows)})
    parts = [run(values[at : at + size]) for at in range(0, len(values), size)]
    return {name: np.concatenate(pad([part[name] for part in parts])) for name in parts[0]}
