"""Step check: rows, golden rows, the handler and the module's own signature, before anything that takes long.

The steps before it collect their faults rather than end the export, so that everything that is wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.archive.offline import faults_of, tensors
from onnxserve.errors import DefinitionError, OnnxserveError

from .archive_folder import write_archive_folder
from .arrays import Arrays
from .batch_composition import batches
from .batches import Batches
from .export_state import ExportState
from .module_check import module_faults
from .step import Step

BATCH = 256  # rows that the handler checks together
SHOWN = 80  # characters of a row
SMALL = (2, 3)  # rows of the two batches that the module is tried with


def call(state: ExportState) -> None:
    """Add the faults of rows, handler and module to those of earlier steps, and raise them all."""
    if hasattr(state, "split") and hasattr(state, "golden"):
        checked = state.faults.attempt(lambda: check_rows(state))
        if checked and hasattr(state, "module"):
            arrays = state.faults.attempt(lambda: small_batches(state))
            for fault in module_faults(state, arrays) if arrays else ():
                state.faults.add(fault)
    state.faults.check()


def check_rows(state: ExportState) -> bool:
    """Let the archive's own handler check every row and golden row; whether it accepts them."""
    if not hasattr(state, "assets"):
        if state.definition.assets:
            return False  # the handler may need them
        state.assets = {}
    state.archive_folder = state.scratch / "archive"
    write_archive_folder(state, state.archive_folder)
    refused = list(row_faults(state))
    for fault in refused:
        state.faults.add(fault)
    return not refused


def row_faults(state: ExportState) -> Iterator[OnnxserveError]:
    """Yield one fault for each reason why the handler refuses rows."""
    rows = chain.from_iterable(state.split.subsets.values())
    for fault in faults_of(state.archive_folder, batches((row.value for row in rows), BATCH)):
        value = next(islice(chain.from_iterable(state.split.subsets.values()), fault.first, None)).value
        count = "1 row" if fault.count == 1 else f"{fault.count} rows"
        what = f"the handler refuses {count}: {fault.reason}{fault.place}; the first is {shown(value)}"
        yield DefinitionError(what, where=state.definition.rows, fix=fault.fix)
    for fault in faults_of(state.archive_folder, [[row["input"] for row in state.golden]]):
        what = f"the handler refuses {fault.count} golden rows: {fault.reason}{fault.place}"
        where = f"{state.definition.folder / 'golden.jsonl'}:{fault.first + 1}"
        yield DefinitionError(what, where=where, fix=fault.fix)


def shown(value: Any) -> str:
    """Return the begin of a row as JSON."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def small_batches(state: ExportState) -> list[Arrays]:
    """Return the tensors of two small batches: of the shortest and of the longest among the first rows."""
    rows = chain.from_iterable(state.split.subsets.values())
    first = [row.value for row in islice(rows, BATCH)] + [row["input"] for row in state.golden]
    first.sort(key=lambda value: len(str(value)))
    path = Path(state.scratch) / "small.npz"
    few, many = SMALL
    state.axes = tensors(state.archive_folder, [first[:few], first[-many:]], path)
    return list(Batches(path, 0, 2))


STEP = Step("check", (), ("archive_folder",), call)
