"""Golden rows: those of `golden.jsonl`; without that file some of the definition's rows, or random ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from onnxserve.archive.offline import samples
from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.tasks import TaskHooks

from .arrays import Arrays
from .batch_composition import spread
from .faults import FaultList
from .records import Split

FILE = "golden.jsonl"
SHOWN = 80  # characters of a value in a message
TAKEN = 4  # rows, where there is no file
LINES = 'lines {"input": ..., "label": ...}'
Golden = list[dict[str, Any]]  # `input` and `label` of each row


def read_golden(definition: Definition, faults: FaultList, hooks: TaskHooks | None = None) -> Golden:
    """Return the lines `{"input": ..., "label": ...}`, label optional; none without the file.

    Faults are of single lines, and of labels that `hooks` can't compare with answers. DefinitionError for a file
    without lines.
    """
    path, golden = definition.folder / FILE, Golden()
    if not path.is_file():
        return golden
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            document = msgspec.json.decode(line)
            row = {"input": document["input"], "label": document.get("label")}
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            faults.add(DefinitionError(f"not a golden row: {error}", where=f"{path}:{number}"))
            continue
        if hooks and row["label"] is not None and (fault := hooks.golden_fault(row["label"])):
            what = f"no answer can be compared with the label of golden row {number}"
            faults.add(DefinitionError(what, where=f"{path}:{number}", fix=fault))
        golden.append(row)
    if not golden:
        raise DefinitionError(f"{FILE} is empty", where=str(path), fix=f"add {LINES}, or remove the file")
    return golden


def wrong_rows(
    golden: Golden, hooks: TaskHooks, outputs: Outputs, origins: Sequence[Any] | None, scales: Arrays
) -> list[int]:
    """Return the numbers of golden rows whose label says another answer than their outputs give."""
    rows = [number for number, row in enumerate(golden) if row["label"] is not None]
    if not rows:
        return []
    own = None if origins is None else [origins[number] for number in rows]
    answers = hooks.right(outputs.take(np.array(rows)), [golden[number]["label"] for number in rows], own, scales)
    return [number for number, right in zip(rows, answers, strict=True) if not right]


def sampled_golden(split: Split) -> Golden:
    """Return some rows of any size without their labels, certify rows first; none if there are no rows.

    A label says what the source must answer, and only a person who wrote the line down is sure of it.
    """
    subsets = reversed(split.subsets.values())
    rows = chain.from_iterable(subset.at(spread(len(subset), TAKEN)) for subset in subsets)
    return [{"input": row.value, "label": None} for row in islice(rows, TAKEN)]


def generated_golden(archive_folder: Path, definition: Definition) -> Golden:
    """Return random rows within the signature; DefinitionError if the input kind can't make any."""
    golden = [{"input": value, "label": None} for value in samples(archive_folder, TAKEN)]
    if not golden:
        raise DefinitionError(
            "there are no rows, and none can be generated within the signature",
            where=str(definition.folder),
            fix=f"give a row: --rows of an import, `rows` in model.toml, or {FILE} beside it, with {LINES}",
        )
    return golden


def shortened(value: Any) -> str:
    """Return the begin of a row, a label or an answer, as JSON."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
