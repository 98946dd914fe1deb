"""A running server with everything that writes switched on: what must not be kept of clients' data is nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pyarrow.parquet as pq
import pytest

from onnxserve.gateway import Share
from tests.helpers import plain_http
from tests.helpers.messages import SERVICE
from tests.helpers.secrets import JSON, KEPT, NUMBER, OWN_ID, SECRET, Body, bodies, forms, messages
from tests.helpers.serving import READY_S, Serving, serving, settings_in
from tests.helpers.waiting import wait_for

TABLES = """
[predictions]
percent = 100.0
redact = ["Y"]
[cache]
seconds = 60
[auth]
required = false
"""


@pytest.fixture(scope="module")
def server(archive, next_archive, tmp_path_factory) -> Iterator[Serving]:
    folder: Path = tmp_path_factory.mktemp("secrecy")
    settings = settings_in(folder, [archive, next_archive], TABLES)
    confined = {"ONNXSERVE_CONFINE": "no-network"}
    with serving(settings, folder, "--warm-up", "0", **confined) as server:
        wait_for(lambda: server.workers("circle", "2.0.0"))  # it has no traffic, so it comes last
        server.release.management.wait_ready("circle", "2.0.0", READY_S)
        server.release.shadow("circle", Share("2.0.0", 100))
        yield server


def ask(server: Serving, body: Body) -> int:
    path = body.path.format(model="circle")
    url, headers = f"{server.url}{path}?user={SECRET}", {**body.headers, "referer": f"http://a/?b={SECRET}"}
    return plain_http.post(url, content=body.content, headers=headers, timeout=60).status_code


def call(server: Serving, message: bytes) -> grpc.StatusCode:
    """How a call of gRPC ends."""
    with grpc.insecure_channel(server.url.removeprefix("http://")) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        try:
            infer(message, timeout=30, metadata=[("user", SECRET)])
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK


def read_logged(server: Serving) -> list[dict[str, object]]:
    """What the prediction log has."""
    paths = sorted((server.settings.state / "predictions").rglob("[0-9]*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def written(server: Serving) -> Iterator[tuple[Path, bytes]]:
    """Every file of the server's."""
    state = server.settings.state
    for path in sorted(state.rglob("*")):
        if path.is_file():
            yield path.relative_to(state), path.read_bytes()


def test_a_secret_in_any_place_of_any_request_is_in_no_file(server):
    wrong = {}
    for body in [*bodies(), *forms()]:
        status = ask(server, body)
        if status not in body.statuses:
            wrong[body.name] = status
    codes = {call(server, message) for _, message in messages()}
    assert (wrong, codes) == ({}, {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT})
    for body in forms():  # as if no gateway stood before TorchServe
        with server.settings.inference.client(60) as client:
            client.post("/predictions/circle", content=body.content, headers=dict(body.headers))

    run, last = server.settings.state / "run", Body("", b"[0, 0.1]", {**JSON, "x-request-id": "the-last"})
    assert ask(server, last) == 200
    wait_for(lambda: "the-last" in {row["request_id"] for row in read_logged(server)})
    wait_for(lambda: all(b"the-last" in (run / name).read_bytes() for name in ("access.log", "observations.log")))
    assert any(str(KEPT) in str(row["input"]) for row in read_logged(server))
    assert str(KEPT).encode() in (run / "observations.log").read_bytes()
    files = dict(written(server))
    files[Path("predictions")] = json.dumps(read_logged(server), default=str).encode()
    kinds = {path.parts[0] for path in files}
    assert {"run", "torchserve.log", "supervisor.log", "predictions"} <= kinds
    assert any(path.parts[:2] == ("run", "cache") for path in files)
    assert b"ErrorDataDecoderException" in files[Path("torchserve.log")]
    for path, content in files.items():
        for secret in (SECRET, str(NUMBER), *([] if path.parts[:2] == ("run", "cache") else [OWN_ID])):
            assert secret.encode() not in content, (path, content[max(0, content.find(secret.encode()) - 200) :][:400])


def test_workers_that_are_confined_serve_and_have_the_filter(server):
    answer = plain_http.post(f"{server.url}/predictions/circle", content=b"[0, 0.1]", headers=JSON)
    assert answer.status_code == 200
    for version in ("1.0.0", "2.0.0"):
        for worker in server.workers("circle", version):
            status = Path(f"/proc/{worker.pid}/status").read_text()
            assert "Seccomp:\t2" in status
            assert "NoNewPrivs:\t1" in status
