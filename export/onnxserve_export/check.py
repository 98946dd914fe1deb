"""Step check: rows, golden rows, the handler and the module's own signature, before anything that takes long.

The steps before it collect their faults rather than end the export, so that everything that is wrong is told at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any

from onnxserve.archive.offline import RowFault, faults_of, part_counts, tensors
from onnxserve.batch.part import ALBUMS
from onnxserve.batch.sources import find_sources
from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError, OnnxserveError
from onnxserve_handlers.runtime.session import has_openvino

from .archive_folder import write_archive_folder
from .arrays import Arrays
from .assets import files_of
from .batch_composition import batches
from .batches import Batches
from .early_imports import EXPORTER, importing
from .export_state import ExportState
from .golden import generated_golden, shortened
from .row_folders import file_of
from .source_check import source_faults
from .step import Step
from .subset import Row
from .variants import OPENVINO

BATCH = 256  # rows that the handler checks together; each refused row among them is named
SMALL = (2, 3)  # rows of the two batches that the module is tried with
SINGLES = 16  # rows that it is tried with where rows run alone


def call(state: ExportState) -> None:
    """Add the faults of rows, handler and module to those of earlier steps, and raise them all."""
    state.faults.attempt(lambda: check_provider(state.definition))
    if hasattr(state, "split") and hasattr(state, "golden"):
        rows = state.faults.attempt(lambda: accepted_rows(state))
        if rows and hasattr(state, "model"):
            arrays = state.faults.attempt(lambda: small_batches(state, rows))
            for fault in source_faults(state, arrays) if arrays else ():
                state.faults.add(fault)
    state.faults.check()


def check_provider(definition: Definition) -> None:
    """Raise DefinitionError if the model is to be served on OpenVINO, where its proof is made, and that isn't there."""
    if definition.serve.provider == OPENVINO and not has_openvino():
        raise DefinitionError(
            "OpenVINO isn't installed, and the proof is made on it",
            where="serve.provider",
            fix="put onnxruntime-openvino in the place of onnxruntime; for Intel's CPUs 'onnxserve[openvino]' does too",
        )


def accepted_rows(state: ExportState) -> list[Any]:
    """Let the archive's own handler check every row and golden row; return those of the first that it accepts."""
    if not hasattr(state, "assets"):
        if state.definition.assets or files_of(state.definition):
            return []  # the handler needs them
        state.assets = {}
    state.archive_folder = state.scratch / "archive"
    write_archive_folder(state, state.archive_folder)
    if not state.golden:
        state.golden = generated_golden(state.archive_folder, state.definition)
    with ThreadPoolExecutor(1) as beside, importing(EXPORTER if "torch" in sys.modules else ()):
        golden = beside.submit(faults_of, state.archive_folder, [[row["input"] for row in state.golden]])
        refused = faults_of(state.archive_folder, batches((row.value for row in rows_of(state)), BATCH))
        refused_golden = golden.result()
    for fault in (*row_faults(state, refused), *golden_faults(state, refused_golden)):
        state.faults.add(fault)
    return [
        *keep_accepted(islice((row.value for row in rows_of(state)), BATCH), refused),
        *keep_accepted((row["input"] for row in state.golden), refused_golden),
    ]


def keep_accepted(values: Iterable[Any], faults: Sequence[RowFault]) -> Iterator[Any]:
    """Yield those of the first values that the handler accepts."""
    early = {number for fault in faults for number in fault.early}
    return (value for number, value in enumerate(values) if number not in early)


def rows_of(state: ExportState) -> Iterator[Row]:
    """Yield all rows, subset by subset."""
    return chain.from_iterable(state.split.subsets.values())


def row_faults(state: ExportState, refused: Iterable[RowFault]) -> Iterator[OnnxserveError]:
    """Yield one fault for each reason why the handler refuses rows."""
    for fault in refused:
        value = next(islice(rows_of(state), fault.first, None)).value
        count = "1 row" if fault.count == 1 else f"{fault.count} rows"
        first = named_file(state, value) or shortened(value)
        what = f"the handler refuses {count}: {fault.reason}{fault.place}; the first is {first}"
        yield DefinitionError(what, where=state.rows_place, fix=fault.fix)


def named_file(state: ExportState, value: Any) -> str:
    """Return the path of a row's file among a folder's images or sounds, empty for another row."""
    if not isinstance(value, bytes) or state.row_files is None:
        return ""
    album = find_sources([str(state.row_files)]).files[0]
    return file_of(album, value) if album.kind in ALBUMS else ""


def golden_faults(state: ExportState, refused: Iterable[RowFault]) -> Iterator[OnnxserveError]:
    """Yield one fault for each reason why the handler refuses golden rows."""
    for fault in refused:
        count = "1 golden row" if fault.count == 1 else f"{fault.count} golden rows"
        where = f"{state.definition.folder / 'golden.jsonl'}:{fault.first + 1}"
        yield DefinitionError(f"the handler refuses {count}: {fault.reason}{fault.place}", where=where, fix=fault.fix)


def small_batches(state: ExportState, rows: list[Any]) -> list[Arrays]:
    """Return the tensors of two small batches: of the shortest and of the longest rows that may run together.

    Where rows run alone, these are batches of one row, from the shortest to the longest.
    """
    ordered, (few, many) = sorted(rows, key=lambda value: len(str(value))), SMALL
    path, groups = Path(state.scratch) / "small.npz", [ordered[:few], ordered[-many:]]
    if state.definition.serve.batch_size == 1:
        groups = [[value] for value in (*ordered[: SINGLES // 2], *ordered[-SINGLES // 2 :])]
    state.axes = tensors(state.archive_folder, groups, path)
    parts = list(Batches(path, 0, sum(part_counts(path))))
    return parts if state.definition.serve.batch_size == 1 else [parts[0], parts[-1]]


STEP = Step("check", (), ("archive_folder",), call)
