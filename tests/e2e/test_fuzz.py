"""Arrays formed by the grammar of their protocols, through the gateway and TorchServe: a typed refusal or an answer."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import plain_http
from tests.helpers.gateway import TorchServeClient
from tests.unit.handlers.test_protocols_fuzz import ALLOWED, npy_files, requests

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
PLAIN = "/predictions/circle"
V2 = "/v2/models/circle/infer"


@pytest.fixture(scope="module")
def client(circle_gateway: TorchServeClient) -> Iterator[httpx.Client]:
    with plain_http.client(base_url=circle_gateway.url, timeout=60) as http:
        yield http


def pids(gateway: TorchServeClient) -> list[int]:
    return [
        worker.pid for version in gateway.server.release.management.versions("circle") for worker in version.workers
    ]


def check(answer: httpx.Response) -> None:
    """An answer, or an error that a handler or the gateway names."""
    assert answer.status_code in ALLOWED | {415}, (answer.status_code, answer.text[:500])
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert error["type"] if isinstance(error, dict) else ":" in error, answer.text


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(body=npy_files(), accept=st.sampled_from(["application/x-npy", "*/*"]), media=st.sampled_from(["npy", "none"]))
def test_an_npy_file_of_any_header_is_answered_or_refused(circle_gateway, client, body, accept, media):
    headers = {"accept": accept} | ({"content-type": "application/x-npy"} if media == "npy" else {})
    before = pids(circle_gateway)
    check(client.post(PLAIN, content=body, headers=headers))
    assert pids(circle_gateway) == before


@settings(max_examples=120, deadline=None, suppress_health_check=SLOW)
@given(request=requests(), path=st.sampled_from([PLAIN, V2]))
def test_an_inference_request_of_any_tensors_is_answered_or_refused(circle_gateway, client, request, path):
    body, headers = request
    before = pids(circle_gateway)
    check(client.post(path, content=body, headers=headers))
    assert pids(circle_gateway) == before
