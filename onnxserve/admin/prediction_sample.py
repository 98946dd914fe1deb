"""The newest rows of the prediction log, for operators: they may be of people, so no page shows them without a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.errors import MonitorError

MOST_ROWS = 20
COLUMNS = ["time", "request_id", "row", "input", "label", "score", "error"]


def prediction_sample(log: Path, model: str, version: str) -> list[dict[str, Any]]:
    """Return the newest logged rows of a version, the newest first; none if nothing was logged.

    MonitorError without pyarrow.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise MonitorError("pyarrow is not installed", fix="pip install 'onnxserve[monitor]'") from error
    rows: list[dict[str, Any]] = []
    for path in sorted((log / model / version).glob("[0-9]*.parquet"), reverse=True):
        try:
            table = pq.read_table(path, columns=COLUMNS)
        except (OSError, pa.ArrowException):  # the worker removed it meanwhile, or a crash damaged it
            continue
        rows += table.slice(max(0, table.num_rows - MOST_ROWS)).to_pylist()[::-1]
        if len(rows) >= MOST_ROWS:
            break
    rows.sort(key=lambda row: row["time"], reverse=True)  # segments of several workers overlap
    return rows[:MOST_ROWS]
