"""Tokens beside keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from onnxserve.gateway.config import Auth, Jwt
from onnxserve.gateway.keys import Key, add
from tests.helpers.gateway import call
from tests.helpers.issuer import Issuer


@pytest.fixture
def issuer(tmp_path: Path) -> Callable[..., str]:
    """Makes tokens, of a client who has no key; its keys are in `jwks.json`. A claim that is None is left out."""
    return Issuer(tmp_path / "jwks.json").token


@pytest.fixture
def token(issuer: Callable[..., str]) -> str:
    return issuer()


def with_tokens(tmp_path: Path) -> Auth:
    return Auth(required=True, jwt=Jwt(Issuer.name, ("onnxserve",), str(tmp_path / "jwks.json")))


@pytest.mark.parametrize(
    "change", [{"nbf": 9_999_999_999}, {"nbf": "tomorrow"}, {"sub": None}, {"exp": None}, {"exp": 1}]
)
def test_a_token_that_begins_later_or_names_nobody_or_has_ended_opens_nothing(
    open_gateway, upstream, issuer, tmp_path, change
):
    client = open_gateway(auth=with_tokens(tmp_path))
    for opens, status in (({"nbf": 1}, 200), (change, 401)):
        bearer = {"authorization": f"Bearer {issuer(**opens)}"}
        assert client.post(**bearer).status_code == status
        assert (call(client, **bearer) is grpc.StatusCode.UNAUTHENTICATED) == (status == 401)
    assert len(upstream.requests) == 2


def test_a_token_makes_no_key_of_whatever_comes_beside_it(open_gateway, upstream, token, tmp_path):
    client = open_gateway(auth=with_tokens(tmp_path))
    for _ in range(3):
        assert client.post(authorization=f"Bearer {token}", x_api_key="osk_made_up").status_code == 200
    assert client.post(x_api_key="osk_made_up").status_code == 401
    assert client.post(authorization="Bearer x", x_api_key="osk_made_up").status_code == 401
    assert {seen.headers["x-onnxserve-client"] for seen in upstream.requests} == {"jwt:ann"}


def test_a_key_beside_a_bad_token_opens_nothing(open_gateway, keys, token, tmp_path):
    secret = add(keys, Key("shop"))
    client = open_gateway(auth=with_tokens(tmp_path))
    assert client.post(x_api_key=secret).status_code == 200
    assert client.post(x_api_key=secret, authorization="Bearer nonsense").status_code == 401


def test_calls_take_the_same_tokens_and_keys(open_gateway, upstream, keys, token, tmp_path):
    secret = add(keys, Key("shop", ("demo",), priority="urgent"))
    other = add(keys, Key("other", ("other",)))
    client = open_gateway(auth=with_tokens(tmp_path))
    upstream.answer, upstream.headers = (lambda *_: (200, b"\0\0\0\0\0")), {"x-grpc-status": "0"}
    for _ in range(2):
        assert call(client, authorization=f"Bearer {token}") is grpc.StatusCode.OK
        assert call(client, x_api_key=secret) is grpc.StatusCode.OK
    clients = {
        (seen.headers["x-onnxserve-client"], seen.headers.get("x-onnxserve-priority")) for seen in upstream.requests
    }
    assert clients == {("jwt:ann", None), ("shop", "urgent")}
    refused = [
        {},
        {"authorization": "Bearer nonsense"},
        {"authorization": f"Bearer {token[:-9]}"},
        {"x_api_key": "osk_x"},
    ]
    refused += [{"x_onnxserve_client": "shop"}, {"authorization": "Bearer x", "x_api_key": secret}]
    assert {call(client, **metadata) for metadata in refused} == {grpc.StatusCode.UNAUTHENTICATED}
    assert call(client, x_api_key=other) is grpc.StatusCode.PERMISSION_DENIED
    assert len(upstream.requests) == 4
