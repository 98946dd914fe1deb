"""Requests as clients of other servers send them, to a plain TorchServe on our worker and on its own."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import plain_http
from tests.helpers.gateway import TorchServeClient
from tests.helpers.torchserve import Running, running, stock_config

ROW = [0.3, 0.4]
PLAIN = json.dumps(ROW).encode()
V2 = {
    "inputs": [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in zip("xy", ROW, strict=True)
    ]
}


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.fixture(scope="module")
def stock_circle(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("requests")
    with running(folder, [archive], stock_config(folder / "config")) as torchserve:
        yield torchserve


@pytest.fixture(scope="module", params=["circle", "stock_circle"])
def server(request: pytest.FixtureRequest) -> Running:
    torchserve: Running = request.getfixturevalue(request.param)
    return torchserve


def ask(server: Running, body: bytes, kind: str = "application/json", method: str = "POST", **headers: str):
    """Status and document."""
    with server.settings.inference.client(60, {"Content-Type": kind, **headers}) as client:
        reply = client.request(method, "/predictions/circle", content=body)
    return reply.status_code, reply.json()


@pytest.mark.parametrize(
    ("body", "kind", "headers"),
    [
        (json.dumps({"instances": [{"data": ROW}]}).encode(), "application/json", {}),
        (json.dumps({"signature_name": "serving_default", "instances": [{"features": ROW}]}).encode(), "text/json", {}),
        (PLAIN, "application/vnd.api+json", {}),
        (b"\xef\xbb\xbf" + PLAIN, "application/json", {}),
        (gzip.compress(PLAIN, mtime=0), "application/json", {"Content-Encoding": "gzip"}),
        (zlib.compress(PLAIN), "application/json", {"Content-Encoding": "deflate"}),
        (npy(np.asfortranarray([ROW])), "application/x-npy", {}),
        (npy(np.array([ROW], ">f8")), "", {}),
    ],
)
def test_what_says_the_same_row_has_the_same_answer(server, body, kind, headers):
    assert ask(server, body, kind, **headers) == ask(server, PLAIN)


def test_a_row_as_columns_has_the_same_label(server):
    status, answer = ask(server, json.dumps(V2).encode())
    labels = next(output["data"] for output in answer["outputs"] if output["name"] == "label")
    assert (status, labels) == (200, [ask(server, PLAIN)[1]["predictions"][0]["label"]])


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "word"),
    [
        (PLAIN, "application/json", {"Content-Encoding": "br"}, 415, "content coding 'br'"),
        (
            b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<U0', 'fortran_order': False, 'shape': (4, 2)}   \n",
            "",
            {},
            400,
            "npy",
        ),
        (json.dumps({"instances": [ROW], "else": 1}).encode(), "application/json", {}, 400, "unknown keys"),
        (b"a=1", "application/x-www-form-urlencoded", {}, 415, "x-www-form-urlencoded"),
    ],
)
def test_what_is_not_read_is_refused_by_name(server, body, kind, headers, status, word):
    answer_status, answer = ask(server, body, kind, **headers)
    assert (answer_status, word in str(answer["error"])) == (status, True), answer


def test_through_the_gateway_a_damaged_form_is_400_and_a_put_row_is_answered(circle_gateway: TorchServeClient):
    with plain_http.client(base_url=circle_gateway.url, timeout=60) as client:
        for kind, body in (
            ("application/x-www-form-urlencoded", b"a=%zz"),
            ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        ):
            answer = client.post("/predictions/circle", content=body, headers={"content-type": kind})
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "undecodable_body")
        form = client.post(
            "/predictions/circle", content=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert (form.status_code, form.json()["error"]["type"]) == (415, "unsupported_media_type")
        deflated = {"content-type": "application/json", "content-encoding": "deflate"}
        posted = client.post("/v1/models/circle:predict", content=json.dumps({"instances": [{"data": ROW}]}).encode())
        put = client.put("/predictions/circle", content=zlib.compress(PLAIN), headers=deflated)
        assert (put.status_code, put.json()) == (posted.status_code, posted.json()) == (200, put.json())
        assert client.get("/v1/models").json() == {"models": ["circle"]}
        assert client.get("/v1/models/circle").json()["ready"] is True
