"""A handler that was written for TorchServe: its faults are answers, and descriptions don't reach it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastworker.context import Context, RequestProcessor
from fastworker.messages import Request
from fastworker.migrated import MigratedEntry, is_migrated


class PredictionException(Exception):
    """Named and made as TorchServe's."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        super().__init__(message)
        self.message, self.error_code = message, error_code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "evidence.json").write_text(json.dumps({"summary": {"proof": "unproven", "migrated": True}}))
    (tmp_path / "migration.json").write_text("{}")
    return tmp_path


def call(folder: Path, handle: Any, *headers: dict[str, str]) -> tuple[list[Any], Context]:
    context = Context("m", str(folder), {}, 4, None, "0.12")
    requests = [Request(str(index), dict(each), []) for index, each in enumerate(headers)]
    context.request_processor = [RequestProcessor(request) for request in requests]
    context.request_ids = dict(enumerate(request.id for request in requests))
    data = [{"body": index} for index in range(len(headers))]
    return MigratedEntry(handle, folder)(data, context), context


def echo(data: list[dict[str, Any]], context: Context) -> list[Any]:
    for index, _ in enumerate(data):
        context.set_response_header(index, "x-id", str(context.get_request_id(index)))
    return [row["body"] for row in data]


def test_requests_for_a_description_are_answered_for_the_handler_and_the_others_keep_their_places(folder):
    describing = {"describe": "True"}
    bodies, context = call(folder, echo, {}, describing, {}, describing)
    assert bodies == [0, bodies[1], 2, bodies[1]]
    known = {"evidence": {"proof": "unproven", "migrated": True}, "drift": "no profile"}
    assert json.loads(bodies[1]) == known
    assert [context.get_response_headers(index).get("x-id") for index in range(4)] == ["0", None, "2", None]
    assert context.get_request_id(2) == "2"


def test_a_batch_of_descriptions_alone_does_not_reach_the_handler(folder):
    bodies, _ = call(folder, lambda data, context: 1 / 0, {"describe": "True"})
    assert json.loads(bodies[0])["evidence"]["proof"] == "unproven"


def raising(error: BaseException) -> Any:
    def handle(data: list[dict[str, Any]], context: Context) -> list[Any]:
        raise error

    return handle


@pytest.mark.parametrize(
    ("handle", "status", "kind", "reason"),
    [
        (raising(ValueError("secret row")), 500, "internal_error", "the handler failed on this batch"),
        (raising(SystemExit(3)), 500, "internal_error", "the handler failed on this batch"),
        (raising(PredictionException("too short", 422)), 422, "bad_request", "too short"),
        (raising(PredictionException("broken", 599)), 599, "internal_error", "broken"),
        (lambda data, context: "text", 500, "internal_error", "the handler returned another number of answers"),
        (lambda data, context: [1], 500, "internal_error", "the handler returned another number of answers"),
    ],
)
def test_a_fault_of_the_handler_is_an_answer_with_a_type_for_the_whole_batch(folder, handle, status, kind, reason):
    bodies, context = call(folder, handle, {}, {})
    for index, body in enumerate(bodies):
        error = json.loads(body)["error"]
        assert (context.get_response_status(index)[0], error["type"]) == (status, kind)
        assert error["reason"].startswith(reason)
        assert context.get_response_headers(index)["x-onnxserve-error"] == kind
    assert len(bodies) == 2


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA error: out of memory")])
def test_exhausted_memory_is_left_to_the_server(folder, error):
    with pytest.raises(type(error)):
        call(folder, raising(error), {})


def test_an_archive_is_migrated_if_it_has_the_record(folder, tmp_path):
    assert is_migrated(folder)
    assert not is_migrated(tmp_path / "elsewhere")
