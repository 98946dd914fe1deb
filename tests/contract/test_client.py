"""The Python client before a real nginx: keys, gRPC, pauses, and connections that are kept."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import numpy as np
import pytest

from onnxserve import AsyncClient, Client, DeadlineExceeded, RequestFailed, Retry, RowError, Unreachable
from onnxserve.client.predictions import Classification
from onnxserve.gateway.keys import Key, add
from onnxserve.torchserve import free_ports
from tests.helpers.messages import framed, kind, message_of

TENSORS = {"features": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}
TEXT_ERROR = "invalid_row: instances[1].age: not finite (send a number)"
ANSWER = {"predictions": [{"label": "x", "score": 0.5}], "model": "demo", "version": "1.0"}


def predicted(*_: Any) -> tuple[int, bytes]:
    return 200, json.dumps(ANSWER).encode()


def called(_: str, body: bytes) -> tuple[int, bytes]:
    """A handler's answer to a call, with a label for each row."""
    request = kind("ModelInferRequest").FromString(body[5:])
    rows = request.inputs[0].shape[0]
    outputs = [
        {"name": name, "datatype": form, "shape": [rows]} for name, form in (("label", "BYTES"), ("score", "FP32"))
    ]
    message = message_of("ModelInferResponse", model_name="demo", model_version="1.0", outputs=outputs)
    message.raw_output_contents.extend([b"\x01\0\0\0x" * rows, struct.pack("<f", 0.5) * rows])
    return 200, framed(message)


@pytest.fixture
def answering(upstream) -> Any:
    upstream.answer = predicted
    return upstream


def test_a_key_is_sent_as_the_client_says(answering, open_gateway, keys):
    secret = add(keys, Key("shop", models=("demo",)))
    url = open_gateway().url
    with Client(url, key=secret) as client:
        assert client.predict("demo", [[1, 2]]) == [Classification("x", 0.5)]
        with pytest.raises(RequestFailed, match="403 forbidden"):
            client.predict("other", [[1, 2]])
    with Client(url) as client, pytest.raises(RequestFailed, match="401 unauthenticated") as caught:
        client.predict("demo", [[1, 2]])
    assert caught.value.request_id


def test_the_openapi_document_is_fetched(client):
    with Client(client.url) as fetching:
        assert "/predictions/demo" in json.loads(fetching.openapi())["paths"]


def test_the_requests_of_a_client_share_a_connection(answering, client):
    with Client(client.url) as asking:
        for _ in range(3):
            asking.predict("demo", [[1, 2]])
        pool = asking._http._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1
    assert len(answering.requests) == 3


def test_calls_go_over_grpc_and_have_answers_alike(upstream, client):
    upstream.answer, upstream.headers = called, {"x-grpc-status": "0"}
    with Client(client.url, grpc=True) as calling:
        assert calling.predict("demo", TENSORS) == [Classification("x", 0.5)] * 2
        assert calling.predict("demo", [[1, 2]]) == [Classification("x", 0.5)]  # the input's name is asked for
        assert calling.infer("demo", TENSORS)["label"].tolist() == ["x", "x"]
    request = kind("ModelInferRequest").FromString(upstream.requests[0].body[5:])
    assert (request.model_name, list(request.inputs[0].shape)) == ("demo", [2, 2])
    assert request.raw_input_contents[0] == TENSORS["features"].tobytes()


def test_a_call_brings_its_deadline(upstream, client):
    upstream.answer, upstream.headers = called, {"x-grpc-status": "0"}
    with Client(client.url, grpc=True) as calling:
        calling.predict("demo", TENSORS, timeout_s=3)
    assert 2 < float(upstream.requests[0].headers["x-onnxserve-deadline"]) <= 3


def test_a_row_that_a_call_refuses_has_its_error(upstream, client):
    def refusing(path: str, body: bytes) -> tuple[int, bytes]:
        rows = kind("ModelInferRequest").FromString(body[5:]).inputs[0].shape[0]
        upstream.headers = {"x-grpc-status": "3", "x-grpc-message": TEXT_ERROR} if rows > 2 else {"x-grpc-status": "0"}
        return (200, b"") if rows > 2 else called(path, body)

    upstream.answer = refusing
    with Client(client.url, grpc=True) as calling:
        assert len(calling.predict("demo", {"features": np.zeros((3, 2), np.float32)})) == 3
    sizes = [kind("ModelInferRequest").FromString(request.body[5:]).inputs[0].shape[0] for request in upstream.requests]
    assert sizes == [3, 1, 1, 1]
    upstream.answer = lambda *_: (200, b"")
    upstream.headers = {"x-grpc-status": "3", "x-grpc-message": TEXT_ERROR.replace("[1]", "[0]")}
    with Client(client.url, grpc=True) as calling, pytest.raises(RowError, match="invalid_row: not finite") as caught:
        calling.model("demo").predict_row({"age": float("inf")})
    assert (caught.value.where, caught.value.remedy) == ("instances[0].age", "send a number")


def test_a_call_that_no_server_takes_is_unreachable():
    [port] = free_ports(1)
    url, retry = f"http://127.0.0.1:{port}", Retry(tries=2, first_delay_s=0.01)
    for grpc in (True, False):
        with Client(url, grpc=grpc, retry=retry) as asking, pytest.raises(Unreachable, match="no answer"):
            asking.predict("demo", TENSORS)


def test_calls_of_an_unknown_model_fail(client):
    with Client(client.url, grpc=True) as calling, pytest.raises(RequestFailed, match="404 not_found"):
        calling.predict("nobody", TENSORS)


def test_the_client_that_does_not_block_calls_too(upstream, client):
    upstream.answer, upstream.headers = called, {"x-grpc-status": "0"}

    async def call() -> None:
        async with AsyncClient(client.url, grpc=True) as calling:
            assert await calling.predict("demo", TENSORS) == [Classification("x", 0.5)] * 2
        async with AsyncClient(client.url) as asking:
            upstream.answer, upstream.headers = predicted, {}
            assert await asking.predict("demo", [[1, 2]]) == [Classification("x", 0.5)]

    asyncio.run(call())


@pytest.mark.parametrize("grpc", [False, True], ids=["http", "grpc"])
def test_a_slow_answer_ends_with_the_deadline(answering, client, grpc):
    answering.delay_s = 5
    with Client(client.url, grpc=grpc) as asking, pytest.raises(DeadlineExceeded, match=r"no answer within 0\.3 s"):
        asking.predict("demo", TENSORS, timeout_s=0.3)


def test_an_address_may_be_a_socket(tmp_path):
    with Client(f"unix:{tmp_path}/none.sock", retry=Retry(tries=1)) as asking, pytest.raises(Unreachable):
        asking.predict("demo", [[1, 2]])
