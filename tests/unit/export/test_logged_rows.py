"""Rows of the prediction log, as a worker's log writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.definition import Definition, RowsSection
from onnxserve.errors import DefinitionError
from onnxserve_export.logged_rows import read_logged_rows
from onnxserve_handlers.telemetry.prediction_log import schema


def logged(log: Path, *rows: dict[str, Any], version: str = "1.0.0") -> None:
    folder = log / "circle" / version
    folder.mkdir(parents=True, exist_ok=True)
    default = {"time": 0, "request_id": "", "row": 0, "redacted": 0, "label": "inside", "score": 0.9, "error": None}
    segment = pa.Table.from_pylist([default | row for row in rows], schema=schema(pa))
    pq.write_table(segment, folder / f"{len(list(folder.iterdir()))}.parquet")


def rows_of(table: Definition, log: Path, name: str = "circle/1.0.0") -> list[Any]:
    section = RowsSection(f"predictions:{name}", log=str(log))
    return list(read_logged_rows(msgspec.structs.replace(table, rows=section), lambda _: None))


def test_the_rows_that_clients_sent_are_taken_without_the_answers_as_labels(table, tmp_path):
    logged(tmp_path, {"input": '{"x": 1.5, "y": 2}'}, {"input": '{"x": "redacted", "y": 2}', "redacted": 1})
    logged(tmp_path, {"input": '{"x": 0, "y": 0}'}, {"input": None, "error": "invalid_row"})
    assert rows_of(table, tmp_path) == [({"x": 1.5, "y": 2}, None), ({"x": 0, "y": 0}, None)]


def test_without_a_version_the_rows_of_all_versions_are_taken(table, tmp_path):
    logged(tmp_path, {"input": "[1, 2]"})
    logged(tmp_path, {"input": "[3, 4]"}, version="2.0.0")
    assert [value for value, _ in rows_of(table, tmp_path, "circle")] == [[1, 2], [3, 4]]


def test_a_log_without_rows_is_refused_with_the_setting_that_keeps_them(table, tmp_path):
    logged(tmp_path, {"input": None}, {"input": '"redacted"', "redacted": 2})
    with pytest.raises(DefinitionError, match="the log has 2 predictions, and the row of none") as refusal:
        rows_of(table, tmp_path)
    assert "inputs = true" in refusal.value.fix


@pytest.mark.parametrize(("name", "message"), [("other", "no prediction log"), ("circle/9", "no answered row")])
def test_a_model_or_version_that_nobody_asked_is_refused(table, tmp_path, name, message):
    logged(tmp_path, {"input": "[1, 2]"})
    with pytest.raises(DefinitionError, match=message):
        rows_of(table, tmp_path, name)
