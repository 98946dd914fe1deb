"""The newest rows of the prediction log."""

from __future__ import annotations

from onnxserve.admin.prediction_sample import MOST_ROWS, prediction_sample
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.request import Request
from onnxserve_handlers.response import Response
from onnxserve_handlers.telemetry.prediction_log import PredictionLog, Settings
from tests.helpers.kinds import table_signature

BODY = b'{"predictions": [{"label": "a", "score": 0.9}]}'


def test_the_newest_rows_come_first_and_a_damaged_segment_is_left_out(tmp_path):
    signature = table_signature("x", labels=("a", "b"))
    log = PredictionLog(Settings(str(tmp_path), percent=100), task_alone("classification", signature))
    try:
        for number in range(MOST_ROWS + 5):
            log.add([Request(rows=[[float(number)]])], [Response(BODY)], [{"x-request-id": f"r{number}"}])
            if number % 10 == 0:
                log.flush()
        log.flush()
    finally:
        log.close()
    folder = tmp_path / signature.model / signature.version
    (folder / "99990101T000000-1-000001.parquet").write_bytes(b"half a file")
    rows = prediction_sample(tmp_path, signature.model, signature.version)
    assert [row["request_id"] for row in rows] == [f"r{number}" for number in range(MOST_ROWS + 4, 4, -1)]
    assert (rows[0]["label"], rows[0]["score"], rows[0]["error"]) == ("a", 0.9, None)


def test_a_version_without_a_log_has_no_rows(tmp_path):
    assert prediction_sample(tmp_path, "demo", "1.0") == []
