"""Reading the prediction log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from onnxserve.errors import MonitorError
from onnxserve_handlers.telemetry.prediction_log import schema


def read_logged(log: Path, model: str, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yield each version with its answered rows; MonitorError if there is no log."""
    # It imports pandas if that is installed, which takes an export a second that reads no log.
    import pyarrow.dataset as ds

    folders = sorted(path for path in (log / model).glob("*") if path.is_dir())
    if not folders:
        fix = "set [predictions] percent in gateway.toml to turn the log on"
        raise MonitorError("there is no prediction log", where=str(log / model), fix=fix)
    for folder in folders:
        files = [str(path) for path in sorted(folder.glob("[0-9]*.parquet"))]
        if files:
            answered = ds.field("error").is_null()
            # Segments of older versions lack columns, which are null then.
            segments = ds.dataset(files, schema=schema(pa), format="parquet")
            yield folder.name, segments.to_table(columns=list(columns), filter=answered)
