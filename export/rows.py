"""Step rows: labelled rows, split into fit / calibrate / certify that share nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve.spec import Definition

from .step import Step
from .user_code import call_function
from .work import Work

# A later step that searches (which nodes to leave in float) gets a share of its own here.
SHARES = {"fit": 0.55, "calibrate": 0.10, "certify": 0.35}
SEED = "onnxserve-split-1"
MIN_CERTIFY = 20


@dataclass(frozen=True)
class Row:
    """One instance as a client would send it, and its label (a label's text, or a number)."""

    value: Any
    label: Any


@dataclass(frozen=True)
class Split:
    """Disjoint shares of the rows, and the SHA-256 of each."""

    fit: list[Row]
    calibrate: list[Row]
    certify: list[Row]
    digests: dict[str, str]
    duplicates: int


def split_rows(rows: list[Row]) -> Split:
    """Deterministic: rows are ordered by the hash of seed and value, so adding rows moves few others.

    Equal values are kept once, since a copy in two shares would make the proof circular.
    """
    keyed = {hashlib.sha256(SEED.encode() + msgspec.json.encode(row.value)).hexdigest(): row for row in rows}
    ordered = [keyed[key] for key in sorted(keyed)]
    shares, start = {}, 0
    for name, share in SHARES.items():
        end = len(ordered) if name == "certify" else start + round(share * len(ordered))
        shares[name] = ordered[start:end]
        start = end
    digests = {
        name: hashlib.sha256(msgspec.json.encode([[r.value, r.label] for r in part])).hexdigest()
        for name, part in shares.items()
    }
    return Split(shares["fit"], shares["calibrate"], shares["certify"], digests, len(rows) - len(ordered))


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


def call(work: Work) -> None:
    """Ask the definition for its rows and split them."""
    definition = work.definition
    given = list(call_function(definition.rows, definition.folder, sources=work.sources))
    rows = [Row(value, label) for value, label in given]
    if definition.labels:
        unknown = sorted({str(row.label) for row in rows} - set(definition.labels))
        if unknown:
            raise DefinitionError(f"rows have labels {unknown[:5]}, not among `labels`", where=definition.rows)
    work.split = split_rows(rows)
    work.golden = read_golden(definition)
    split = work.split
    if len(split.certify) < MIN_CERTIFY or not split.calibrate:
        raise CheckFailed(
            "rows",
            f"{len(split.certify)} rows to certify with",
            f"at least {MIN_CERTIFY}",
            fix="give more labelled rows",
            where=definition.rows,
        )
    work.say(f"      fit {len(split.fit)}, calibrate {len(split.calibrate)}, certify {len(split.certify)} rows")


STEP = Step("rows", ("sources",), ("split", "golden"), call)
