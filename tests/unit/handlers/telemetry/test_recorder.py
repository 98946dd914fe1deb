"""What records batches: histograms, the prediction log, drift; no request ever loses its response to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from onnxserve.monitoring.exporter import remove_stale_gauges, workers_page
from onnxserve_handlers.errors import InternalError, InvalidRow
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.table import TableInput
from onnxserve_handlers.inputs.text import TextOptions
from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.request import Request, failed_request
from onnxserve_handlers.response import Response
from onnxserve_handlers.signature import Signature
from onnxserve_handlers.tasks.classification import Classification
from onnxserve_handlers.telemetry.metrics import Clock, queue_seconds
from onnxserve_handlers.telemetry.prediction_log import PredictionLog, Settings
from onnxserve_handlers.telemetry.recorder import Recorder, outcome
from tests.helpers.fakes import with_fake_session
from tests.helpers.kinds import table_signature

SIGNATURE = table_signature("x", "y", labels=("a", "b"))
BODY = json.dumps({"predictions": [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.8}]}).encode()


def task_of(signature: Signature) -> Classification:
    task = Classification()
    task.signature = signature
    return task


def open_log(folder: Path, **changes: Any) -> PredictionLog:
    return PredictionLog(Settings(**{"folder": str(folder), "percent": 100.0, **changes}), task_of(SIGNATURE))


def read_log(folder: Path) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((folder / "demo" / "1.0").glob("[0-9]*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def add(prediction_log: PredictionLog, *requests: Request, body: bytes = BODY) -> None:
    results = [None if request.error else Response(body) for request in requests]
    prediction_log.add(requests, results, [{"x-request-id": "r1"}] * len(requests))


def test_rows_and_answers_are_kept_by_request_with_what_was_refused(tmp_path):
    prediction_log = open_log(tmp_path)
    add(prediction_log, Request(rows=[[1.0, 2.0], [3.0, 4.0]]), failed_request(InvalidRow("no")))
    prediction_log.close()
    first, second, third = read_log(tmp_path)
    assert (first["request_id"], first["row"], first["label"], first["score"]) == ("r1", 0, "a", 0.9)
    assert json.loads(second["input"]) == {"x": 3.0, "y": 4.0}
    assert (third["error"], third["input"], third["label"]) == ("invalid_row", None, None)


def test_the_error_of_one_row_beside_answers_is_kept_with_that_row(tmp_path):
    prediction_log = open_log(tmp_path)
    predictions = [{"label": "a", "score": 0.9}, {"error": {"type": "not_finite", "reason": "x"}}]
    add(prediction_log, Request(rows=[[1.0, 2.0], [3.0, 4.0]]), body=json.dumps({"predictions": predictions}).encode())
    prediction_log.close()
    first, second = read_log(tmp_path)
    assert (first["error"], second["error"], second["label"]) == (None, "not_finite", None)


def test_columns_that_must_not_be_kept_are_not(tmp_path):
    prediction_log = open_log(tmp_path, redact=(" Y", "text"))
    add(prediction_log, Request(rows=[[1.0, 2.0]]), Request(instances=["secret"]), Request(instances=[b"image"]))
    prediction_log.close()
    first, _, text, _, image, _ = read_log(tmp_path)
    assert json.loads(first["input"]) == {"x": 1.0, "y": "redacted"}
    assert [json.loads(row["input"]) for row in (text, image)] == ["redacted", "redacted"]
    assert [row["redacted"] for row in (first, text, image)] == [1, 1, 1]


def test_the_queue_is_bounded_and_what_does_not_fit_is_counted(tmp_path):
    prediction_log = open_log(tmp_path, queue_megabytes=0.01)
    for _ in range(1000):
        add(prediction_log, Request(rows=[[1.0, 2.0]]))
    assert prediction_log._queue_bytes <= 0.01 * 2**20
    assert prediction_log.dropped > 800
    prediction_log.close()
    assert len(read_log(tmp_path)) + 2 * prediction_log.dropped == 2000


def test_long_texts_rows_and_answers_are_cut(tmp_path):
    prediction_log = PredictionLog(Settings(str(tmp_path), 100.0), task_of(replace(SIGNATURE, input=TextOptions())))
    add(prediction_log, Request(instances=["x" * 10_000] * 100), body=b"x" * 100_000)
    prediction_log.close()
    rows = read_log(tmp_path)
    assert len(rows) == 32
    assert {len(row["input"]) for row in rows} == {2_002}


def test_old_segments_go_when_the_disk_is_used_up(tmp_path):
    prediction_log = open_log(tmp_path, megabytes=0.02)
    for _ in range(20):
        add(prediction_log, *[Request(rows=[[1.0, 2.0]])] * 50)
        prediction_log.flush()
    prediction_log.close()
    sizes = [path.stat().st_size for path in (tmp_path / "demo" / "1.0").glob("*.parquet")]
    assert 0 < sum(sizes) <= 0.02 * 2**20
    old = open_log(tmp_path / "b", hours=1)
    add(old, Request(rows=[[1.0, 2.0]]))
    old.flush()
    [path] = (tmp_path / "b" / "demo" / "1.0").glob("*.parquet")
    os.utime(path, (0, 0))
    add(old, Request(rows=[[5.0, 2.0]]))
    old.close()
    assert [json.loads(row["input"])["x"] for row in read_log(tmp_path / "b") if row["input"]] == [5.0]


def test_a_full_disk_costs_the_segment_and_nothing_else(tmp_path, monkeypatch):
    prediction_log = open_log(tmp_path)
    monkeypatch.setattr(pq, "write_table", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    add(prediction_log, Request(rows=[[1.0, 2.0]]))
    prediction_log.close()
    assert (prediction_log.dropped, read_log(tmp_path)) == (1, [])


def test_a_share_of_the_requests_is_kept(tmp_path):
    prediction_log = open_log(tmp_path, percent=10.0)
    add(prediction_log, *[Request(rows=[[1.0, 2.0]])] * 2000)
    prediction_log.close()
    assert 120 <= len(read_log(tmp_path)) / 2 <= 290  # two rows a request


# Histograms ------------------------------------------------------------------------

WORKER = """
import json, sys
from onnxserve_handlers.telemetry.metrics import make_metrics
from onnxserve_handlers.signature import Signature
metrics = make_metrics(Signature("demo", "1.0", "", "int8", None, None, (), (), 8), "CPU", 2)
metrics.add_batch({"queue": 0.002, "preprocess": 0.0002, "inference": 0.02, "postprocess": 0.0001}, 3, 4, [10, 5, 5])
metrics.add_outcomes(2, ["invalid_row", "a kind of somebody's own"])
metrics.flush()
"""


def test_histograms_of_all_workers_are_one_page_with_few_labels(tmp_path):
    environment = {**os.environ, "ONNXSERVE_METRICS": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", WORKER], env=environment, check=True)
    text = workers_page(tmp_path).decode()
    model = 'model="demo"'
    for line in (
        f'onnxserve_stage_seconds_count{{{model},stage="inference",version="1.0"}} 2.0',
        f'onnxserve_stage_seconds_bucket{{le="0.025",{model},stage="inference",version="1.0"}} 2.0',
        f'onnxserve_stage_seconds_bucket{{le="0.01",{model},stage="inference",version="1.0"}} 0.0',
        f'onnxserve_batch_rows_sum{{{model},version="1.0"}} 8.0',
        f'onnxserve_row_length_sum{{{model},version="1.0"}} 20.0',
        f'onnxserve_requests_total{{{model},outcome="ok",version="1.0"}} 4.0',
        f'onnxserve_requests_total{{{model},outcome="other",version="1.0"}} 2.0',
    ):
        assert line in text, text
    assert "onnxserve_worker_info" not in text, "the workers are gone"


def test_only_gauges_of_the_dead_are_buried(tmp_path):
    for name in (f"gauge_livemax_{os.getpid()}.db", "gauge_livemax_999999999.db", "counter_999999999.db"):
        (tmp_path / name).touch()
    remove_stale_gauges(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "counter_999999999.db",
        f"gauge_livemax_{os.getpid()}.db",
    ]


def test_the_wait_is_counted_from_the_gateway():
    assert queue_seconds({"x-onnxserve-start": "100.5"}, 101.0) == 0.5
    assert queue_seconds({"x-onnxserve-start": "102"}, 101.0) == 0.0
    assert queue_seconds({}, 101.0) is None
    assert queue_seconds({"x-onnxserve-start": "soon"}, 101.0) is None


def test_laps_add_up():
    clock = Clock()
    for stage in ("preprocess", "inference", "preprocess"):
        time.sleep(0.002)
        clock.lap(stage)
    assert clock.stage_seconds["preprocess"] >= 0.004
    assert clock.stage_seconds["inference"] >= 0.002


# All of it in a handler ----------------------------------------------------------------


def test_outcomes_are_kinds():
    assert outcome(Request(), Response(b"")) == "ok"
    assert outcome(Request(), Response(b"", row_error="not_finite")) == "not_finite"
    assert outcome(failed_request(InvalidRow("x")), None) == "invalid_row"
    assert outcome(Request(), InternalError()) == "internal_error"


def test_whatever_records_may_break_and_requests_are_answered(archive, tmp_path):
    from onnxserve.archive import unpack
    from onnxserve_handlers.offline import loaded

    unpack(archive, tmp_path)
    handler, _ = loaded(tmp_path)

    class Broken:
        def add_batch(self, *_):
            raise RuntimeError("out of order")

    handler.recorder = Recorder(handler, metrics=Broken())  # type: ignore[arg-type]
    bodies: list[dict[str, Any]] = [{"body": b"[0, 0.1]"}, {"body": b"nonsense"}]
    responses = handler.handle(bodies, OfflineContext(tmp_path))
    assert [next(iter(json.loads(response))) for response in responses] == ["predictions", "error"]
    assert set(handler.recorder.clock.stage_seconds) == {"preprocess", "inference", "postprocess"}
    assert len(handler.recorder.predictions) == 1


class Points(TableInput, Classification, Handler):
    """Points to labels."""


class Seen:
    """A drift that keeps the rows of each request."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def is_due(self) -> bool:
        return True

    def add(self, requests: Any, predictions: Any, handler: Any) -> None:
        self.rows += requests


def test_drift_gets_rows_that_came_as_tensors_too():
    seen: Any = Seen()
    table = with_fake_session(Points(), columns=("x", "y"))
    table.prepare()
    tensors = {"features": np.array([[3.0, 4.0], [5.0, 6.0]], np.float32)}
    requests = [Request(rows=[[1.0, 2.0]]), Request(tensors=tensors), failed_request(InvalidRow("no"))]
    Recorder(table, drift=seen).end(requests, [None, None, None], OfflineContext(Path()))
    assert seen.rows == [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]
    assert set(table.measures([row for rows in seen.rows for row in rows])) == {"x", "y"}
