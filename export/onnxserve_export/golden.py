"""Golden rows: those of `golden.jsonl`; without that file some of the definition's rows, or random ones."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.archive.offline import samples
from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError

from .faults import FaultList
from .records import Split

FILE = "golden.jsonl"
TAKEN = 4  # rows, where there is no file
LINES = 'lines {"input": ..., "label": ...}'
Golden = list[dict[str, Any]]  # `input` and `label` of each row


def read_golden(definition: Definition, faults: FaultList) -> Golden:
    """Return the lines `{"input": ..., "label": ...}`, label optional; none without the file.

    Faults are of single lines. DefinitionError for a file without lines.
    """
    path, golden = definition.folder / FILE, Golden()
    if not path.is_file():
        return golden
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            document = msgspec.json.decode(line)
            golden.append({"input": document["input"], "label": document.get("label")})
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            faults.add(DefinitionError(f"not a golden row: {error}", where=f"{path}:{number}"))
    if not golden:
        raise DefinitionError(f"{FILE} is empty", where=str(path), fix=f"add {LINES}, or remove the file")
    return golden


def first_rows(split: Split) -> Golden:
    """Return some rows without their labels; none if there are no rows.

    A label says what the source must answer, and only a person who wrote the line down is sure of it.
    """
    rows = chain.from_iterable(reversed(split.subsets.values()))
    return [{"input": row.value, "label": None} for row in islice(rows, TAKEN)]


def generated_golden(archive_folder: Path, definition: Definition) -> Golden:
    """Return random rows within the signature; DefinitionError if the input kind can't make any."""
    golden = [{"input": value, "label": None} for value in samples(archive_folder, TAKEN)]
    if not golden:
        raise DefinitionError(
            f"there are no rows and no {FILE}", where=str(definition.folder), fix=f"write {FILE}, with {LINES}"
        )
    return golden
