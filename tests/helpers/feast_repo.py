"""A small Feast repository: two features of drivers, one of which changes over time; and a fake of its server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)

DEFINITIONS = """
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project, ValueType
from feast.types import Float64

project = Project(name="drivers")
driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(path=str(Path(__file__).resolve().parent / "drivers.parquet"), timestamp_field="event_timestamp")
fields = [Field(name=name, dtype=Float64) for name in ("x", "trips")]
view = FeatureView(name="stats", entities=[driver], ttl=timedelta(days=10), schema=fields, source=source)
service = FeatureService(name="drivers_v1", features=[view])
"""


def write_repo(folder: Path) -> Path:
    """Driver 1 has x = 0 on Monday and 9 on Wednesday; driver 2 has x = 5, trips unknown; 3 and more nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feature_store.yaml").write_text("project: drivers\nprovider: local\noffline_store:\n  type: file\n")
    (folder / "definitions.py").write_text(DEFINITIONS)
    rows = pa.table(
        {
            "driver_id": [1, 1, 2],
            "event_timestamp": pa.array([MONDAY, MONDAY + 2 * DAY, MONDAY], pa.timestamp("us", "UTC")),
            "x": [0.0, 9.0, 5.0],
            "trips": pa.array([1.0, 3.0, None], pa.float64()),
        }
    )
    pq.write_table(rows, folder / "drivers.parquet")
    return folder


KNOWN: dict[int, dict[str, float | None]] = {1: {"x": 0.5, "trips": 3.0}, 2: {"x": 5.0, "trips": None}}


def feast(_path: str, body: bytes) -> tuple[int, bytes]:
    """As Feast's server answers."""
    keys = json.loads(body)["entities"]["driver_id"]
    results: list[dict[str, Any]] = [{"values": keys, "statuses": ["PRESENT"] * len(keys)}]
    for name in ("x", "trips"):
        values = [KNOWN.get(key, {}).get(name) for key in keys]
        statuses = ["NOT_FOUND" if value is None else "PRESENT" for value in values]
        results.append({"values": values, "statuses": statuses})
    return 200, json.dumps({"metadata": {"feature_names": ["driver_id", "x", "trips"]}, "results": results}).encode()


class Now:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time
