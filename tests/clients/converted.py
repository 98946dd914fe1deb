"""Converted archives in Triton, by its own client over HTTP or gRPC; prints what was not as it must be.

`python converted.py HOST:PORT GOLDEN.json PROTOCOL`: each model has golden rows as `inputs`, and their `labels`.
"""

import base64
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from given import address, expect, golden, wrong
from tritonclient.utils import InferenceServerException

PROTOCOL = sys.argv[3]
triton: Any = {"http": tritonclient.http, "grpc": tritonclient.grpc}[PROTOCOL]
TOGETHER = 32  # requests at a time
DEADLINE_S = 30
# A row that the handler refuses, and a part of its reason.
REFUSED = {
    "segment": ([[float("nan")] * 18], "finite"),
    "sentiment": ([""], "empty"),
    "digits": ([base64.b64encode(b"no picture").decode()], "image"),
}


def tensors(model: str, rows: list[Any]) -> list[Any]:
    """Return the input of one request: numbers, or one element of BYTES a row."""
    if model == "segment":
        array, name, kind = np.array(rows, np.float32), "features", "FP32"
    else:
        elements = [base64.b64decode(row) if model == "digits" else row.encode() for row in rows]
        name = "image" if model == "digits" else "text"
        array, kind = np.array(elements, np.object_).reshape(-1, 1), "BYTES"
    tensor = triton.InferInput(name, list(array.shape), kind)
    tensor.set_data_from_numpy(array)
    return [tensor]


def labels_of(answer: Any) -> list[str]:
    """Return the labels of a request's rows."""
    return [label.decode() for label in answer.as_numpy("label").reshape(-1)]


def outcome(get: Callable[[], Any]) -> Any:
    """Return the answer, or the error that came in its place."""
    try:
        return get()
    except InferenceServerException as error:
        return error


def ask_together(client: Any, model: str, requests: list[list[Any]]) -> list[Any]:
    """Send all requests before the first answer is read; return answers and errors in their order."""
    if PROTOCOL == "http":
        pending = [client.async_infer(model, tensors(model, rows)) for rows in requests]
        return [outcome(answer.get_result) for answer in pending]
    futures: list[Future[Any]] = [Future() for _ in requests]
    for rows, future in zip(requests, futures, strict=True):
        client.async_infer(
            model, tensors(model, rows), lambda result, error, future=future: future.set_result(error or result)
        )
    return [future.result(DEADLINE_S) for future in futures]


def saved_executions(client: Any, model: str) -> int:
    """Return how many rows so far were handed to the model in a batch with an earlier one."""
    arguments = {"as_json": True} if PROTOCOL == "grpc" else {}
    [about] = client.get_inference_statistics(model, **arguments)["model_stats"]
    return int(about["inference_count"]) - int(about["execution_count"])


def golden_rows(client: Any, model: str) -> None:
    """Each row alone, and all rows in one request."""
    rows, expected = golden[model]["inputs"], golden[model]["labels"]
    expect(f"{model} ready", client.is_model_ready(model))
    answer = client.infer(model, tensors(model, rows))
    expect(f"{model}: labels together", labels_of(answer) == expected)
    scores = answer.as_numpy("score")
    expect(f"{model}: scores", scores.shape == (len(rows), 1) and bool(((scores > 0) & (scores <= 1)).all()))
    alone = [labels_of(client.infer(model, tensors(model, [row])))[0] for row in rows]
    expect(f"{model}: labels alone", alone == expected)
    only = client.infer(model, tensors(model, rows[:1]), outputs=[triton.InferRequestedOutput("label")])
    expect(f"{model}: only what was asked for", only.as_numpy("score") is None and labels_of(only) == expected[:1])


def errors_beside_answers(client: Any, model: str) -> None:
    """A request that the handler refuses gets the reason; those that came with it get their answers."""
    rows, expected = golden[model]["inputs"], golden[model]["labels"]
    bad, reason = REFUSED[model]
    requests = [bad if number == TOGETHER // 2 else [rows[number % len(rows)]] for number in range(TOGETHER)]
    for number, answer in enumerate(ask_together(client, model, requests)):
        failed = isinstance(answer, InferenceServerException)
        if number == TOGETHER // 2:
            expect(f"{model}: error {answer}", failed and reason in str(answer))
        else:
            expect(f"{model}: answer {number}", not failed and labels_of(answer) == [expected[number % len(rows)]])


def batches(client: Any, model: str) -> None:
    """Requests of one row that come together make batches of several."""
    rows, deadline = golden[model]["inputs"], time.monotonic() + DEADLINE_S
    before = saved_executions(client, model)
    while saved_executions(client, model) == before and time.monotonic() < deadline:
        ask_together(client, model, [[rows[number % len(rows)]] for number in range(TOGETHER)])
    expect(f"{model}: batches of several requests", saved_executions(client, model) > before)


def wrong_shape(client: Any) -> None:
    """Triton itself refuses what its configuration doesn't allow."""
    narrow = outcome(lambda: client.infer("segment", tensors("segment", [[1.0, 2.0]])))
    expect("a row of two numbers", isinstance(narrow, InferenceServerException) and "shape" in str(narrow))


options = {"concurrency": TOGETHER} if PROTOCOL == "http" else {}
with triton.InferenceServerClient(address, **options) as client:
    for model in golden:
        golden_rows(client, model)
        errors_beside_answers(client, model)
        if PROTOCOL == "grpc":  # over HTTP this client may send rows more slowly than they are answered
            batches(client, model)
    wrong_shape(client)
print(json.dumps(wrong))
