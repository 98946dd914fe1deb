"""A response above the server's limit becomes an error of its request alone, in the form that the client requested."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from fastworker import responses as worker_responses
from onnxserve.torchserve.server import LARGEST_ANSWER
from onnxserve_export import answer_size
from onnxserve_export.answer_size import largest_answer, unreachable
from onnxserve_handlers.errors import ResponseTooLarge
from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.protocols.v2_grpc import RESOURCE_EXHAUSTED
from onnxserve_handlers.response import (
    DEFAULT_MAX_RESPONSE_BYTES,
    MAX_RESPONSE_BYTES,
    Response,
    limit_size,
    max_response_bytes,
)
from tests.helpers.fakes import with_fake_session
from tests.helpers.kinds import TableClassifier

ROWS = 200
MANY = json.dumps({"instances": [[1, 2]] * ROWS}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def table():
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"), max_rows=ROWS)
    handler.prepare()
    handler.max_response_bytes = 2000
    return handler


def test_an_answer_above_the_limit_is_507_alone_and_says_how_many_rows_fit(table):
    context = OfflineContext(Path())
    context.headers = [JSON, JSON]
    large, small = table.handle([{"body": MANY}, {"body": b"[1, 2]"}], context)
    assert context.statuses[0] == (507, "Insufficient Storage")
    assert context.response_headers[0]["x-onnxserve-error"] == "answer_too_large"
    error = json.loads(large)["error"]
    assert error["type"] == "answer_too_large"
    assert "at most 2000 can be sent" in error["reason"]
    fitting = int(error["fix"].split()[3])
    assert 0 < fitting < ROWS
    assert json.loads(small)["predictions"][0]["label"] == "yes"
    assert 1 not in context.statuses or context.statuses[1][0] == 200
    again = OfflineContext(Path())
    again.headers = [JSON]
    table.handle([{"body": json.dumps({"instances": [[1, 2]] * fitting}).encode()}], again)
    assert again.statuses.get(0, (200, ""))[0] == 200


def test_an_answer_as_long_as_the_limit_is_sent():
    body = b"x" * 100
    assert limit_size(Response(body), 1, 100) == Response(body)
    error = limit_size(Response(body), 1, 99)
    assert isinstance(error, ResponseTooLarge)
    assert error.fix == "ask for fewer outputs"


def test_the_limit_is_the_contexts_then_the_environments_then_torchserves(monkeypatch):
    assert (MAX_RESPONSE_BYTES, worker_responses.MAX_RESPONSE_BYTES) == (LARGEST_ANSWER, DEFAULT_MAX_RESPONSE_BYTES)
    assert max_response_bytes(SimpleNamespace()) == DEFAULT_MAX_RESPONSE_BYTES
    monkeypatch.setenv(MAX_RESPONSE_BYTES, "")
    assert max_response_bytes(SimpleNamespace()) == DEFAULT_MAX_RESPONSE_BYTES
    monkeypatch.setenv(MAX_RESPONSE_BYTES, "500")
    assert max_response_bytes(SimpleNamespace()) == 500
    assert max_response_bytes(OfflineContext(Path())) > 2**40


def test_grpcs_clients_are_told_that_a_resource_is_exhausted():
    from onnxserve_handlers.protocols.v2_grpc import status_of

    assert status_of(ResponseTooLarge("x")) == RESOURCE_EXHAUSTED


def work(rows: int, width: int) -> Any:
    reference = {"outputs": np.full((20, width), 0.123456789, np.float32)}
    return SimpleNamespace(probe_reference=reference, definition=SimpleNamespace(input=SimpleNamespace(max_rows=rows)))


def test_an_export_says_by_figures_how_many_rows_can_be_answered():
    message = unreachable(work(800, 2000))
    fitting = int(message.rpartition("input.max_rows = ")[2].split(",")[0])
    row_bytes = len(msgspec.json.encode([0.12345679104328156] * 2000))
    assert abs(fitting * row_bytes - largest_answer()) < 2 * row_bytes
    assert f"{largest_answer():,}" in message
    assert unreachable(work(fitting, 2000)) == ""
    assert unreachable(work(64, 3)) == ""


def test_the_limit_is_that_of_the_configuration(tmp_path, monkeypatch):
    (tmp_path / "config.properties").write_text("max_response_size=1000\n")
    monkeypatch.chdir(tmp_path)
    assert answer_size.largest_answer() == 1000
    (tmp_path / "config.properties").write_text("job_queue_size=1\n")
    assert answer_size.largest_answer() == DEFAULT_MAX_RESPONSE_BYTES
