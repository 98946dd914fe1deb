"""Whatever is wrong with a request of any protocol, it fails alone, with a place and a fix, and is never our fault."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.table import TableOptions
from onnxserve_handlers.signature import Tensor
from tests.helpers.attacks.columns import COLUMNS, column_requests, table_request
from tests.helpers.attacks.protocols import PROTOCOLS
from tests.helpers.attacks.values import bodies, elements, rows
from tests.helpers.inference import send, signed
from tests.helpers.kinds import TableClassifier
from tests.helpers.protocol_requests import Request, json_request, tensors_of_row
from tests.helpers.task_models import MODELS

BATCH = 25  # requests; a good one stands before and behind them
ANSWERED = {200, 400, 413, 415, 422}
GRPC_FAULTS = {"3", "8", "12", "13"}


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Handler]:
    folder = tmp_path_factory.mktemp("handlers")
    return {task: model.handler(folder / task, max_bytes=400_000) for task, model in MODELS.items()}


def answers(handler: Handler, task: str, requests: dict[str, Request]) -> Iterator[tuple[str, int, Any, bytes]]:
    """Yield the name and the answer of each request; good ones beside them are answered as ever."""
    good = json_request({"instances": [MODELS[task].rows[0]]})
    [alone] = send(handler, good)
    assert alone[0] == 200
    names = list(requests)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        before, *others, after = send(handler, good, *(requests[name] for name in part), good)
        assert [before, after] == [alone, alone], part
        yield from ((name, *answer) for name, answer in zip(part, others, strict=True))


def fault(status: int, headers: dict[str, str], body: bytes) -> str:
    """Return what an error says, empty for an answer that is none; ours are marked."""
    if "x-grpc-status" in headers:
        if headers["x-grpc-status"] == "0":
            return ""
        text = unquote(headers["x-grpc-message"])
        return (
            text
            if headers["x-grpc-status"] in GRPC_FAULTS and headers["x-onnxserve-error"] != "internal_error"
            else f"OURS {text}"
        )
    if status == 200:
        return ""
    error = json.loads(body)["error"]
    text = error if isinstance(error, str) else f"{error['type']}: {error['where']}: {error['reason']} ({error['fix']})"
    return text if status in ANSWERED else f"OURS {status} {text}"


def check(caplog: pytest.LogCaptureFixture, faults: dict[str, str]) -> None:
    assert [line for line in faults.items() if line[1].startswith("OURS")] == []
    assert [line for line in faults.items() if line[1] and line[1].count(": ") < 2] == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("task", MODELS)
def test_a_tensor_with_one_thing_wrong_is_refused_by_its_place(handlers, task, protocol, caplog, capfd):
    handler = handlers[task]
    requests = dict(PROTOCOLS[protocol](tensors_of_row(handler, MODELS[task].rows[0])))
    faults = {name: fault(*answer) for name, *answer in answers(handler, task, requests)}
    check(caplog, faults)
    assert [name for name, text in faults.items() if not text] == []
    assert capfd.readouterr().err == ""
    assert len(requests) >= 10


@pytest.mark.parametrize("task", MODELS)
def test_any_value_in_place_of_a_row_is_answered_or_refused(handlers, task, caplog, capfd):
    handler = handlers[task]
    requests = {**dict(rows()), **dict(elements(handler.signature.input.row_name or "x"))}
    requests |= dict(bodies(tuple(handler.raw_types)))
    faults = {name: fault(*answer) for name, *answer in answers(handler, task, requests)}
    check(caplog, faults)
    assert capfd.readouterr().err == ""
    assert sum(map(bool, faults.values())) > len(faults) // 2 > 100


def test_any_tensor_in_place_of_a_column_is_answered_or_refused_by_its_name(caplog):
    columns = msgspec.convert({"columns": [column for column, _, _ in COLUMNS.values()]}, TableOptions).columns
    handler = signed(TableClassifier(), (Tensor("features", "float32", ("batch", len(columns))),), columns=columns)
    handler.prepare()
    [good] = send(handler, table_request())
    assert good[0] == 200
    faults, misplaced = {}, []
    for name, text, request in column_requests():
        before, answer, after = send(handler, table_request(), request, table_request())
        assert [before, after] == [good, good], text
        faults[text] = fault(*answer)
        if faults[text] and name not in faults[text]:
            misplaced.append((text, faults[text]))
    check(caplog, faults)
    assert misplaced == []
    assert sum(map(bool, faults.values())) > 700
