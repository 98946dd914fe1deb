"""Live accuracy with its interval, from labels that arrive later and are joined with the prediction log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onnxserve.errors import MonitorError
from onnxserve.monitoring.predictions import read_logged

Z95 = 1.959964
KEYS = ("request_id", "label")


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of one version; `low` and `high` bound it with 95 % confidence."""

    model: str
    version: str
    rows: int
    right: int
    accuracy: float
    low: float
    high: float
    unmatched: int  # labels without a logged prediction of any version


def accuracy(log: Path, model: str, labels: Path) -> list[Accuracy]:
    """Return the accuracy of each version that has labelled rows; MonitorError for files that can't be joined."""
    truths = read_labels(labels)
    counts, matched = [], set[tuple[str, int]]()
    for version, rows in read_logged(log, model, ("request_id", "row", "label")):
        predictions = rows.filter(pc.is_valid(rows["label"]))
        joined = predictions.join(truths, ["request_id", "row"], join_type="inner")
        matched |= set(zip(joined["request_id"].to_pylist(), joined["row"].to_pylist(), strict=True))
        if joined.num_rows:
            right = pc.sum(pc.equal(joined["label"], joined["truth"])).as_py() or 0
            counts.append((version, joined.num_rows, right))
    unmatched = truths.num_rows - len(matched)
    return [
        Accuracy(model, version, rows, right, right / rows, *wilson(right, rows), unmatched)
        for version, rows, right in counts
    ]


def read_labels(path: Path) -> pa.Table:
    """Read `request_id`, `label` and optionally `row`, which counts a request's rows from 0; drop repeated lines."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise MonitorError(f"not a readable Parquet file: {error}", where=str(path)) from error
    if missing := [name for name in KEYS if name not in table.column_names]:
        raise MonitorError(
            f"missing columns: {', '.join(missing)}",
            where=str(path),
            fix="give each line a request_id, a label and, for requests with several rows, a row",
        )
    row = table["row"] if "row" in table.column_names else pa.array([0] * table.num_rows)
    columns = {
        "request_id": pc.cast(table["request_id"], pa.string()),
        "row": pc.cast(row, pa.int32()),
        "truth": pc.cast(table["label"], pa.string()),
    }
    return pa.table(columns).group_by(["request_id", "row", "truth"]).aggregate([])


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share, z2 = right / rows, Z95**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z95 / (1 + z2 / rows) * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, middle - half), min(1.0, middle + half)
