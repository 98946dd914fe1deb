"""Tables for a drift report: rows and answers of the prediction log, and those of the archive's proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from onnxserve.archive import column_types, folder_signature, read_proof, read_version, unpack_trusted
from onnxserve.archive.offline import answers, run_offline
from onnxserve.errors import ArchiveError, MonitorError
from onnxserve.monitoring.predictions import read_logged
from onnxserve.scratch import Scratch
from onnxserve_handlers.tasks.regression import MOST_VALUES, VALUE
from onnxserve_handlers.telemetry.drift_window import MOST_ALIKE

MOST_ROWS, LEAST_ROWS, GROUP = 10_000, 50, 64
COLUMNS = ("time", "input", "label", "score", "values")
NEVER = datetime.min.replace(tzinfo=UTC)
REDACTED = "redacted"  # the log's word for a redacted value


@dataclass(frozen=True)
class Tables:
    """Two tables with one column per measure, all numbers but `label`; `note` names what is left out."""

    model: str
    version: str
    proven: pd.DataFrame
    live: pd.DataFrame
    note: str


def tables(store: Path, log: Path, model: str, version: str = "", most: int = MOST_ROWS) -> Tables:
    """Return the tables of one version, by default the one logged last; MonitorError for too few predictions."""
    logs = {name: table for name, table in read_logged(log, model, COLUMNS) if not version or name == version}
    if not logs:
        raise MonitorError(f"no prediction of {model} {version} was logged", where=str(log / model))
    version, rows = max(logs.items(), key=lambda item: pc.max(item[1]["time"]).as_py() or NEVER)
    rows = rows.sort_by("time").slice(max(0, rows.num_rows - most))
    if rows.num_rows < LEAST_ROWS:
        what = f"{model} {version} has {rows.num_rows} logged predictions, a report needs at least {LEAST_ROWS}"
        raise MonitorError(
            what, where=str(log / model), fix="wait, or log more with [predictions] percent in gateway.toml"
        )
    with Scratch() as scratch:
        folder = scratch
        unpack_trusted(archive_of(store, model, version), folder)
        return build_tables(folder, model, version, rows)


def archive_of(store: Path, model: str, version: str) -> Path:
    """Return the archive of the version in the store; MonitorError when it is missing."""
    for path in sorted(store.glob("*.mar")):
        if read_version(path) == (model, version):
            return path
    raise MonitorError(f"the archive of {model} {version} is not in the store", where=str(store), fix="--store FOLDER")


def build_tables(folder: Path, model: str, version: str, rows: pa.Table) -> Tables:
    """Measure the proof rows and the logged rows with the unpacked archive's handler."""
    inputs = [row.input for row in read_proof(folder)]
    proven, live = answer_columns(predictions(folder, inputs)), answer_columns(rows.to_pylist())
    kept, hidden = logged_inputs(folder, rows["input"].to_pylist(), inputs[0])
    note = f"not kept in the log: {', '.join(sorted(hidden))}" if hidden else ""
    try:
        measured = measures(folder, kept) if len(kept) >= LEAST_ROWS else {}
    except ArchiveError:  # the rows are images, or need a feature store that isn't here
        measured = {}
    if not measured:
        return Tables(model, version, *common_columns(proven, live), note="the log has no inputs: answers only")
    known = {name: values for name, values in measures(folder, inputs).items() if name not in hidden}
    proven = pd.concat([proven, pd.DataFrame(known)], axis=1)
    live = pd.concat([live, pd.DataFrame({name: measured[name] for name in known})], axis=1)
    return Tables(model, version, *common_columns(proven, live), note)


def answer_columns(answered: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return labels and scores of answers, and a column for each of a regression's few values, one row an answer."""
    columns = {name: [row.get(name) for row in answered] for name in ("label", "score")}
    values = [row.get("values") or [] for row in answered]
    widths = {len(row) for row in values} - {0}
    if len(widths) == 1 and max(widths) <= MOST_VALUES:
        for place in range(max(widths)):
            columns[f"{VALUE}{place}"] = [row[place] if row else None for row in values]
    return pd.DataFrame(columns)


def common_columns(proven: pd.DataFrame, live: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop columns that are empty in one table, such as scores of a model without labels."""
    both = [name for name in proven.columns if name in live and proven[name].notna().any() and live[name].notna().any()]
    return proven[both], live[both]


def logged_inputs(folder: Path, lines: Sequence[str | None], example: Any) -> tuple[list[Any], set[str]]:
    """Return the logged rows for the handler, and the redacted columns, which get the example's values."""
    rows, hidden = [], set[str]()
    if isinstance(example, list):
        example = dict(zip(column_types(folder_signature(folder)), example, strict=False))
    for line in lines:
        value = msgspec.json.decode(line) if line is not None else None
        if isinstance(value, dict):
            redacted = {name for name, cell in value.items() if cell == REDACTED}
            hidden |= redacted
            value |= {name: example[name] for name in redacted if name in example}
        if value is not None and value != REDACTED:
            rows.append(value)
    return rows, hidden


def predictions(folder: Path, inputs: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the archive's predictions, one per row."""
    groups = [list(inputs[start : start + GROUP]) for start in range(0, len(inputs), GROUP)]
    bodies = [msgspec.json.encode({"instances": group}) for group in groups]
    return [row for answer in answers(folder, bodies) for row in answer["body"]["predictions"]]


def measures(folder: Path, inputs: Sequence[Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the measures that drift detection uses, one array per measure."""
    source, target = folder / "rows.jsonl", folder / "measures.npz"
    source.write_bytes(msgspec.json.encode(list(inputs)) + b"\n")
    run_offline(folder, "measures", source, target)
    with np.load(target) as arrays:
        return {name: array for name, array in arrays.items() if name != MOST_ALIKE}
