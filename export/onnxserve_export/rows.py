"""Step rows: read labelled rows, and split them into the disjoint subsets fit, calibrate, select and certify."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.definition import Definition
from onnxserve.errors import CheckFailed, DefinitionError

from .export_state import ExportState
from .historical_features import join_features
from .records import Split
from .row_sources import read_rows
from .step import Step
from .subset import FRACTIONS, KEY, Row, spool

# fit trains, calibrate gives the ranges of int8, select is what the search looks at, certify is for the proof alone.
SEED = "onnxserve-split-2"
MIN_CERTIFY = 20


class Assignment:
    """Assigns each row to a subset by the hash of seed and value, so that added rows move no others.

    Equal values are kept once, since a copy in two subsets would make the proof circular.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self._seen: set[bytes] = set()
        self.duplicates = 0

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        for row in self._rows:
            digest = hashlib.sha256(SEED.encode() + msgspec.json.encode(row.value)).digest()
            if digest[:KEY] in self._seen:
                self.duplicates += 1
                continue
            self._seen.add(digest[:KEY])
            yield subset_at(int.from_bytes(digest[-8:]) / 2**64), row


def subset_at(place: float) -> str:
    """Return the subset that a place between 0 and 1 falls in."""
    for name, subset in FRACTIONS.items():
        if place < subset:
            return name
        place -= subset
    return "certify"


def split_rows(rows: Iterable[Row], folder: Path) -> Split:
    """Split rows in one pass, into files in `folder`."""
    assigned = Assignment(rows)
    subsets = spool(assigned, FRACTIONS, folder)
    return Split(**subsets, duplicates=assigned.duplicates)


def read_golden(definition: Definition) -> list[dict[str, Any]]:
    """Return the lines of `golden.jsonl`, `{"input": ..., "label": ...}`, label optional; else DefinitionError."""
    path = definition.folder / "golden.jsonl"
    if not path.is_file():
        raise DefinitionError("golden.jsonl is missing", where=str(path), fix='add lines {"input": ..., "label": ...}')
    golden = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            document = msgspec.json.decode(line)
            golden.append({"input": document["input"], "label": document.get("label")})
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise DefinitionError(f"not a golden row: {error}", where=f"{path}:{number}") from error
    if not golden:
        raise DefinitionError("golden.jsonl is empty", where=str(path))
    return golden


def labelled(given: Iterable[tuple[Any, Any]], definition: Definition) -> Iterator[Row]:
    """Yield rows one by one; DefinitionError at the first with an unknown label."""
    known = set(definition.labels)
    for number, (value, label) in enumerate(given):
        if known and str(label) not in known:
            where = definition.rows.location
            raise DefinitionError(f"row {number} has label {str(label)!r}, not among `labels`", where=where)
        yield Row(value, label)


def call(state: ExportState) -> None:
    """Read the definition's rows and split them; CheckFailed if they are too few to certify with."""
    definition = state.definition
    given: Iterable[tuple[Any, Any]] = read_rows(state)
    if definition.features:
        given, state.key_types = join_features(given, definition, state.scratch / "features")
    state.split = split = split_rows(labelled(given, definition), state.scratch / "rows")
    state.golden = read_golden(definition)
    if len(split.certify) < MIN_CERTIFY or not (len(split.calibrate) and len(split.select)):
        raise CheckFailed(
            "rows",
            f"{len(split.certify)} rows to certify with",
            f"at least {MIN_CERTIFY}",
            fix="give more labelled rows",
            where=definition.rows.location,
        )
    state.say("      " + ", ".join(f"{name} {len(subset)}" for name, subset in split.subsets.items()) + " rows")


STEP = Step("rows", ("sources", "row_files"), ("split", "golden"), call)
