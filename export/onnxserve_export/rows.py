"""Step rows: labelled rows, split into fit / calibrate / select / certify that share nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.definition import Definition
from onnxserve.errors import CheckFailed, DefinitionError

from .joined import joined
from .records import Split
from .share import KEY, SHARES, Row, spool
from .step import Step
from .user_code import call_function
from .work import Work

# fit trains, calibrate gives the ranges of int8, select is what the search looks at, certify is for the proof alone.
SEED = "onnxserve-split-2"
MIN_CERTIFY = 20


class Assignment:
    """Names the share of each row by the hash of seed and value, so adding rows moves no others.

    Equal values are kept once, since a copy in two shares would make the proof circular.
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
            yield share_of(int.from_bytes(digest[-8:]) / 2**64), row


def share_of(place: float) -> str:
    """The share that a place between 0 and 1 falls in."""
    for name, share in SHARES.items():
        if place < share:
            return name
        place -= share
    return "certify"


def split_rows(rows: Iterable[Row], folder: Path) -> Split:
    """One pass; rows go to files in `folder`."""
    assigned = Assignment(rows)
    shares = spool(assigned, SHARES, folder)
    return Split(**shares, duplicates=assigned.duplicates)


def read_golden(definition: Definition) -> list[dict[str, Any]]:
    """The lines of `golden.jsonl`: `{"input": ..., "label": ...}`, label optional."""
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
    """Rows one by one; DefinitionError at the first with an unknown label."""
    known = set(definition.labels)
    for number, (value, label) in enumerate(given):
        if known and str(label) not in known:
            raise DefinitionError(f"row {number} has label {str(label)!r}, not among `labels`", where=definition.rows)
        yield Row(value, label)


def call(work: Work) -> None:
    """Ask the definition for its rows and split them."""
    definition = work.definition
    given = call_function(definition.rows, definition.folder, sources=work.sources)
    if definition.features:
        given, work.key_types = joined(given, definition, work.scratch / "features")
    work.split = split = split_rows(labelled(given, definition), work.scratch / "rows")
    work.golden = read_golden(definition)
    if len(split.certify) < MIN_CERTIFY or not (len(split.calibrate) and len(split.select)):
        raise CheckFailed(
            "rows",
            f"{len(split.certify)} rows to certify with",
            f"at least {MIN_CERTIFY}",
            fix="give more labelled rows",
            where=definition.rows,
        )
    work.say("      " + ", ".join(f"{name} {len(share)}" for name, share in split.shares.items()) + " rows")


STEP = Step("rows", ("sources",), ("split", "golden"), call)
