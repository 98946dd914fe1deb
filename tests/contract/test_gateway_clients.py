"""What clients of other servers ask the gateway: V1's questions about models, PUT, forms."""

from __future__ import annotations

import json

import pytest

from onnxserve.gateway.config import Auth, Guard
from tests.helpers.gateway import BODY, Client
from tests.helpers.upstream import Upstream

FORM = "application/x-www-form-urlencoded"


def test_a_model_and_all_models_are_described_as_kserve_and_tensorflow_ask(client: Client, upstream: Upstream):
    assert client.http.get("/v1/models").json() == {"models": ["demo"]}
    for path, version in (("/v1/models/demo", "1.0"), ("/v1/models/demo/versions/2.0", "2.0")):
        answer = client.http.get(path)
        [status] = answer.json()["model_version_status"]
        assert (answer.status_code, answer.json()["name"], answer.json()["ready"]) == (200, "demo", True)
        assert (status["version"], status["state"], status["status"]["error_code"]) == (version, "AVAILABLE", "OK")
    for path in ("/v1/models/nobody", "/v1/models/demo/versions/9.0", "/v1/models/demo:explain", "/v1/models/"):
        assert client.http.get(path).status_code == 404
    assert client.http.post("/v1/models/demo").status_code == 405
    upstream.ready = False
    answer = client.http.get("/v1/models/demo")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["model_version_status"][0]["state"] == "LOADING"


@pytest.mark.parametrize("client", [{"auth": Auth(required=True)}], indirect=True)
def test_who_may_not_ask_learns_of_no_model(client: Client):
    assert [client.http.get(path).status_code for path in ("/v1/models", "/v1/models/demo")] == [401, 401]


@pytest.mark.parametrize("client", [{}, {"guard": Guard(per_second=1000)}], indirect=True)
@pytest.mark.parametrize("path", ["/predictions/demo", "/predictions/demo/2.0", "/v2/models/demo/infer"])
def test_a_prediction_may_be_put(client: Client, upstream: Upstream, path: str):
    answer = client.http.put(path, content=BODY, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["model"]) == (200, "demo")
    assert [request.body for request in upstream.requests] == [BODY]


@pytest.mark.parametrize("kind", [FORM, "multipart/form-data; boundary=x"])
def test_a_form_that_torchserve_can_not_take_apart_is_the_clients_fault(client: Client, upstream: Upstream, kind: str):
    document = {"code": 500, "type": "ErrorDataDecoderException", "message": "Invalid hex byte"}
    upstream.answer = lambda *_: (500, json.dumps(document).encode())
    answer = client.post(body=b"a=%zz", content_type=kind)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "undecodable_body")
    assert "Invalid hex" not in answer.text


def test_a_form_that_is_one_goes_on(client: Client, upstream: Upstream):
    assert client.post(body=b"data=1", content_type=FORM).status_code == 200
    assert [request.body for request in upstream.requests] == [b"data=1"]
