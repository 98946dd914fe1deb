"""The tables of a drift report: answers of the prediction log, in segments of this version and of older ones."""

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.monitoring.predictions import read_logged
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.request import Request
from onnxserve_handlers.response import Response
from onnxserve_handlers.telemetry.prediction_log import PredictionLog, Settings, schema
from tests.helpers.kinds import table_signature

drift = pytest.importorskip("onnxserve.monitoring.drift")


def write_log(folder, predictions):
    """Write a log of a regression as a worker does, one request a prediction."""
    task = task_alone("regression", table_signature("x", model="prices", version="1.0.0"))
    log = PredictionLog(Settings(str(folder), 100.0), task)
    for prediction in predictions:
        response = Response(msgspec.json.encode({"predictions": [prediction]}))
        log.add([Request(instances=[[1.0]])], [response], [{}])
    log.close()


def logged(folder):
    [(version, table)] = read_logged(folder, "prices", drift.COLUMNS)
    assert version == "1.0.0"
    return drift.answer_columns(table.to_pylist())


def test_each_value_of_a_regression_is_a_measure_of_its_own(tmp_path):
    write_log(tmp_path, [{"values": [1.0, 1e6 + place]} for place in range(3)])
    columns = logged(tmp_path)
    np.testing.assert_array_equal(columns["value.0"], [1, 1, 1])
    np.testing.assert_array_equal(sorted(columns["value.1"]), [1e6, 1e6 + 1, 1e6 + 2])


def test_segments_of_older_versions_have_no_values(tmp_path):
    write_log(tmp_path, [{"values": [2.0, 3.0]}])
    old = schema(pa).remove(schema(pa).get_field_index("values"))
    row = {"time": 0, "request_id": "a", "row": 0, "score": 1.5}
    pq.write_table(
        pa.Table.from_pylist([row], schema=old), tmp_path / "prices" / "1.0.0" / "20200101T000000-1-1.parquet"
    )
    columns = logged(tmp_path)
    assert columns["value.1"].dropna().tolist() == [3.0]
    assert columns["score"].tolist()[0] == 1.5
    proven = drift.answer_columns([{"values": [2.5, 4.0]}])
    assert [list(table) for table in drift.common_columns(proven, columns)] == [["value.0", "value.1"]] * 2


@pytest.mark.parametrize("rows", [[[1.0], [1.0, 2.0]], [[0.0] * 9], [None]])
def test_answers_of_many_or_of_different_numbers_of_values_have_no_columns_of_them(rows):
    assert list(drift.answer_columns([{"values": row} for row in rows])) == ["label", "score"]
