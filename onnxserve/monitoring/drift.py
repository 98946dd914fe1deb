"""Rows and answers of the prediction log beside those that the archive was proven with, as one table each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from onnxserve.archive import read_proof, summarise, unpack_trusted
from onnxserve.archive.offline import answers, run_offline
from onnxserve.errors import ArchiveError, MonitorError
from onnxserve.monitoring.predictions import logged

MOST_ROWS, LEAST_ROWS, GROUP = 10_000, 50, 64
COLUMNS = ("time", "input", "label", "score")
NEVER = datetime.min.replace(tzinfo=UTC)
REDACTED = "redacted"  # as the log writes it


@dataclass(frozen=True)
class Tables:
    """One column a measure in both; `label` is the only one that isn't a number. `note` says what is left out."""

    model: str
    version: str
    proven: pd.DataFrame
    live: pd.DataFrame
    note: str


def tables(store: Path, log: Path, model: str, version: str = "", most: int = MOST_ROWS) -> Tables:
    """Of one version, by default of the newest that was logged; MonitorError where there is too little."""
    found = {name: table for name, table in logged(log, model, COLUMNS) if not version or name == version}
    if not found:
        raise MonitorError(f"no prediction of {model} {version} was logged", where=str(log / model))
    version, rows = max(found.items(), key=lambda one: pc.max(one[1]["time"]).as_py() or NEVER)
    rows = rows.sort_by("time").slice(max(0, rows.num_rows - most))
    if rows.num_rows < LEAST_ROWS:
        what = f"{rows.num_rows} predictions of {model} {version} were logged, {LEAST_ROWS} are the least"
        raise MonitorError(what, where=str(log / model), fix="wait, or keep more of them: [predictions] percent")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack_trusted(archive_of(store, model, version), folder)
        return compared(folder, model, version, rows)


def archive_of(store: Path, model: str, version: str) -> Path:
    """The archive in the store that answered; MonitorError when it is gone."""
    for path in sorted(store.glob("*.mar")):
        one = summarise(path)
        if (one.name, one.version) == (model, version):
            return path
    raise MonitorError(f"the archive of {model} {version} is not in the store", where=str(store), fix="--store FOLDER")


def compared(folder: Path, model: str, version: str, rows: pa.Table) -> Tables:
    """What the unpacked archive's own handler measures of its proof rows and of the logged ones."""
    inputs = [one["input"] for one in read_proof(folder)]
    told = predictions(folder, inputs)
    proven = pd.DataFrame({name: [one.get(name) for one in told] for name in ("label", "score")})
    live = pd.DataFrame({"label": rows["label"].to_pylist(), "score": rows["score"].to_pylist()})
    kept, hidden = logged_inputs(folder, rows["input"].to_pylist(), inputs[0])
    note = f"not kept in the log: {', '.join(sorted(hidden))}" if hidden else ""
    try:
        asked = measures(folder, kept) if len(kept) >= LEAST_ROWS else {}
    except ArchiveError:  # an image, or a key of a feature store that isn't here
        asked = {}
    if not asked:
        return Tables(model, version, *told_by_both(proven, live), note="the log has no inputs: answers only")
    known = {name: values for name, values in measures(folder, inputs).items() if name not in hidden}
    proven = pd.concat([proven, pd.DataFrame(known)], axis=1)
    live = pd.concat([live, pd.DataFrame({name: asked[name] for name in known})], axis=1)
    return Tables(model, version, *told_by_both(proven, live), note)


def told_by_both(proven: pd.DataFrame, live: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Without columns that are empty on one side: a model without labels has no scores."""
    both = [name for name in proven.columns if proven[name].notna().any() and live[name].notna().any()]
    return proven[both], live[both]


def logged_inputs(folder: Path, lines: Sequence[str | None], example: Any) -> tuple[list[Any], set[str]]:
    """Rows as the handler takes them; columns that were redacted are the example's there, and named."""
    found, hidden = [], set[str]()
    if isinstance(example, list):
        columns = msgspec.json.decode((folder / "signature.json").read_bytes())["input"]["columns"]
        example = dict(zip(columns, example, strict=False))
    for line in lines:
        value = msgspec.json.decode(line) if line is not None else None
        if isinstance(value, dict):
            gone = {name for name, one in value.items() if one == REDACTED}
            hidden |= gone
            value |= {name: example[name] for name in gone if name in example}
        if value is not None and value != REDACTED:
            found.append(value)
    return found, hidden


def predictions(folder: Path, inputs: Sequence[Any]) -> list[dict[str, Any]]:
    """The archive's answers, one a row."""
    groups = [list(inputs[start : start + GROUP]) for start in range(0, len(inputs), GROUP)]
    bodies = [msgspec.json.encode({"instances": group}) for group in groups]
    return [one for answer in answers(folder, bodies) for one in answer["body"]["predictions"]]


def measures(folder: Path, inputs: Sequence[Any]) -> dict[str, np.ndarray[Any, Any]]:
    """What drift looks at, one array a measure."""
    source, target = folder / "rows.jsonl", folder / "measures.npz"
    source.write_bytes(msgspec.json.encode(list(inputs)) + b"\n")
    run_offline(folder, "measures", source, target)
    with np.load(target) as arrays:
        return dict(arrays)
