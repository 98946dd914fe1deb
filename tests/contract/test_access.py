"""Which clients nginx lets in, and what it tells the others."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from onnxserve.gateway import Model, Roles
from onnxserve.gateway.config import Auth, Guard, Jwt, Tls
from onnxserve.gateway.keys import Key, add, rotate
from onnxserve.gateway.nginx_process import RunningGateway
from tests.helpers import plain_http
from tests.helpers.certificates import Authority
from tests.helpers.gateway import config, gateway_of, started
from tests.helpers.waiting import PROMISED_S, wait_for

LABELS = Roles({"demo": Model({"1.0": "a" * 64}, "1.0"), "other": Model({"1.0": "b" * 64}, "1.0")})
ISSUER = "https://issuer.test"
Open = Callable[..., RunningGateway]


@pytest.fixture
def open_gateway(upstream, tmp_path) -> Iterator[Open]:
    """Start a gateway with some tables of gateway.toml."""
    with contextlib.ExitStack() as stack:

        def begin(**tables: Any) -> RunningGateway:
            return stack.enter_context(started(gateway_of(config(**tables), tmp_path, upstream.port), LABELS))

        yield begin


def post(
    running: RunningGateway, path: str = "/predictions/demo", body: bytes = b"[1]", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return plain_http.post(f"{running.gateway.url}{path}", content=body, headers=named, timeout=60)


# Keys ---------------------------------------------------------------------


def test_a_key_opens_its_models_only_and_nobody_else_comes_in(open_gateway, upstream, tmp_path):
    path = tmp_path / "keys.json"
    secret = add(path, Key("shop", ("demo",)))
    running = open_gateway(auth=Auth(required=True, keys=str(path)))
    assert post(running, x_api_key=secret).status_code == 200
    assert upstream.requests[0].headers["x-onnxserve-client"] == "shop"
    assert "x-api-key" not in upstream.requests[0].headers
    refused = post(running)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert post(running, x_api_key="osk_guess").status_code == 401
    forbidden = post(running, "/v2/models/other/infer", x_api_key=secret)
    assert (forbidden.status_code, forbidden.json()["error"].split(":")[0]) == (403, "forbidden")
    assert plain_http.get(f"{running.gateway.url}/v2/health/live").status_code == 200
    assert plain_http.get(f"{running.gateway.url}/v2/health/ready").status_code == 200
    assert len(upstream.requests) == 1


def test_keys_come_and_go_without_a_restart_and_are_kept_as_digests(open_gateway, tmp_path):
    path = tmp_path / "keys.json"
    running = open_gateway(auth=Auth(required=True, keys=str(path)))
    secret = add(path, Key("shop"))
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    wait_for(lambda: post(running, x_api_key=secret).status_code == 200, PROMISED_S)
    newer = rotate(path, "shop", dt.timedelta())
    wait_for(lambda: post(running, x_api_key=secret).status_code == 401, PROMISED_S)
    wait_for(lambda: post(running, x_api_key=newer).status_code == 200, PROMISED_S)
    path.write_text("{")
    time.sleep(1.5)
    assert post(running, x_api_key=newer).status_code == 200  # a damaged file locks nobody out


def test_rates_and_daily_budgets_hold_for_each_client(open_gateway, tmp_path):
    path = tmp_path / "keys.json"
    often, day, free = (add(path, key) for key in (Key("often", per_second=2), Key("day", per_day=3), Key("free")))
    running = open_gateway(auth=Auth(required=True, keys=str(path)))
    seen = [post(running, x_api_key=often) for _ in range(6)]
    assert {answer.status_code for answer in seen} == {200, 429}
    refused = next(answer for answer in seen if answer.status_code == 429)
    assert (refused.json()["error"]["type"], refused.headers["retry-after"]) == ("rate_limited", "1")
    spent = [post(running, x_api_key=day) for _ in range(5)]
    assert [answer.status_code for answer in spent] == [200, 200, 200, 429, 429]
    assert spent[-1].json()["error"]["type"] == "budget_spent"
    assert 0 < int(spent[-1].headers["retry-after"]) <= 86400
    assert {post(running, x_api_key=free).status_code for _ in range(10)} == {200}


def test_a_budget_that_is_spent_stays_spent_after_a_restart(open_gateway, tmp_path):
    path = tmp_path / "keys.json"
    secret = add(path, Key("day", per_day=1))
    running = open_gateway(auth=Auth(required=True, keys=str(path)))
    assert [post(running, x_api_key=secret).status_code for _ in range(2)] == [200, 429]
    budgets = running.gateway.run / "budgets.json"
    wait_for(lambda: budgets.is_file() and b"day" in budgets.read_bytes())
    running.stop()
    running = open_gateway(auth=Auth(required=True, keys=str(path)))
    assert post(running, x_api_key=secret).status_code == 429


def test_a_key_says_what_of_an_answer_its_client_may_know(open_gateway, upstream, tmp_path):
    path = tmp_path / "keys.json"
    secrets = [add(path, Key("little", digits=1, top=1)), add(path, Key("cut", top=3)), add(path, Key("all"))]
    running = open_gateway(auth=Auth(required=True, keys=str(path)))
    for secret in secrets * 2:
        post(running, x_api_key=secret)
    names = ("x-onnxserve-digits", "x-onnxserve-top")
    limits = [tuple(request.headers.get(name) for name in names) for request in upstream.requests]
    assert limits == [("1", "1"), (None, "3"), (None, None)] * 2


def test_runs_of_nearly_the_same_body_raise_an_alert_and_ordinary_ones_do_not(open_gateway, tmp_path):
    path = tmp_path / "keys.json"
    thief, user = add(path, Key("thief")), add(path, Key("user"))
    running = open_gateway(auth=Auth(required=True, keys=str(path)), guard=Guard(probing=True))
    row = [0.5 * number for number in range(18)]
    for step in range(80):
        post(running, body=json.dumps([row[0] + 0.01 * step, *row[1:]]).encode(), x_api_key=thief)
        other = [(step * 7919 + 104729 * number) % 1000 / 10 for number in range(18)]
        post(running, body=json.dumps(other).encode(), x_api_key=user)
    log = running.gateway.run / "access.log"
    wait_for(lambda: log.read_text().count("\n") >= 160)
    alerted = {line["client"] for line in map(json.loads, log.read_text().splitlines()) if line["alert"] == "probing"}
    assert alerted == {"thief"}


# Tokens -------------------------------------------------------------------


class Issuer:
    """Signs tokens, and publishes its keys in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rotate()

    def rotate(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}))
        fresh.rename(self.path)

    def token(self, **claims: Any) -> str:
        until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
        payload = {"iss": ISSUER, "aud": "onnxserve", "sub": "ann", "exp": until, **claims}
        return jwt.encode(payload, self.key, algorithm="RS256", headers={"kid": "one"})


@pytest.fixture
def issuer(tmp_path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


def bearer(running: RunningGateway, token: str, path: str = "/predictions/demo", **headers: str) -> httpx.Response:
    return post(running, path, b"[1]", authorization=f"Bearer {token}", **headers)


def test_a_token_names_the_client_and_bad_ones_are_401(open_gateway, upstream, issuer, tmp_path):
    auth = Auth(required=True, keys=str(tmp_path / "no"), jwt=Jwt(ISSUER, ("onnxserve",), str(issuer.path)))
    running = open_gateway(auth=auth)
    assert bearer(running, issuer.token()).status_code == 200
    assert upstream.requests[0].headers["x-onnxserve-client"] == "jwt:ann"
    assert "authorization" not in upstream.requests[0].headers
    past = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    stranger = Issuer(tmp_path / "stranger.json")
    forged = issuer.token().rsplit(".", 1)[0] + "."
    none = jwt.encode({"iss": ISSUER, "aud": "onnxserve", "sub": "ann"}, "", algorithm="none")
    bad = [
        issuer.token(exp=past),
        issuer.token(iss="https://others.test"),
        stranger.token(),
        forged,
        none,
        "nonsense",
    ]
    for token in bad:
        answer = bearer(running, token)
        assert answer.status_code == 401, token
        assert answer.json()["error"]["type"] == "unauthenticated"
    others = bearer(running, issuer.token(aud="others"))
    assert (others.status_code, others.json()["error"]["type"]) == (403, "forbidden")
    assert post(running).status_code == 401
    assert post(running, x_onnxserve_subject="ann").status_code == 401
    assert len(upstream.requests) == 1


def test_a_tokens_scope_names_its_models(open_gateway, issuer, tmp_path):
    auth = Auth(required=True, keys=str(tmp_path / "no"), jwt=Jwt(ISSUER, ("onnxserve",), str(issuer.path)))
    running = open_gateway(auth=auth)
    token = issuer.token(scope="demo")
    assert bearer(running, token).status_code == 200
    assert bearer(running, token, "/predictions/other").status_code == 403


def test_the_issuers_keys_rotate_without_a_restart(open_gateway, issuer, tmp_path):
    auth = Auth(required=True, keys=str(tmp_path / "no"), jwt=Jwt(ISSUER, ("onnxserve",), str(issuer.path)))
    running = open_gateway(auth=auth)
    old = issuer.token()
    issuer.rotate()
    assert running.refresh()
    wait_for(lambda: bearer(running, issuer.token()).status_code == 200, PROMISED_S)
    wait_for(lambda: bearer(running, old).status_code == 401, PROMISED_S)


# Encryption ---------------------------------------------------------------


def trusting(authority: Authority, own: tuple[Path, Path] | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(authority.file))
    if own:
        context.load_cert_chain(*map(str, own))
    return httpx.Client(verify=context, trust_env=False, timeout=10)


def test_tls_is_spoken_and_a_new_certificate_is_taken_without_a_restart(open_gateway, tmp_path):
    authority = Authority(tmp_path / "pki")
    certificate, key = authority.sign("server")
    running = open_gateway(tls=Tls(str(certificate), str(key)))
    assert running.gateway.url.startswith("https://")
    with trusting(authority) as client:
        assert client.post(f"{running.gateway.url}/predictions/demo", content=b"[1]").status_code == 200
    plain = httpx.post(
        running.gateway.url.replace("https", "http") + "/predictions/demo", content=b"[1]", trust_env=False
    )
    assert (plain.status_code, plain.json()["error"]["type"]) == (400, "malformed_request")
    newer = Authority(tmp_path / "newer")
    for source, target in zip(newer.sign("server"), (certificate, key), strict=True):
        source.rename(target)

    def taken() -> bool:
        try:
            with trusting(newer) as client:
                return client.post(f"{running.gateway.url}/predictions/demo", content=b"[1]").status_code == 200
        except httpx.HTTPError:
            return False

    assert running.refresh()
    wait_for(taken, PROMISED_S)
    assert not running.refresh()


def test_clients_must_show_a_certificate_of_the_named_authority(open_gateway, upstream, tmp_path):
    authority, stranger = Authority(tmp_path / "pki"), Authority(tmp_path / "stranger")
    certificate, key = authority.sign("server")
    running = open_gateway(tls=Tls(str(certificate), str(key), str(authority.file)))
    url = f"{running.gateway.url}/predictions/demo"
    with trusting(authority, authority.sign("client")) as client:
        assert client.post(url, content=b"[1]").status_code == 200
    expired = authority.sign("late", dt.timedelta(days=-1))
    for own in (None, stranger.sign("client"), expired):
        with trusting(authority, own) as client:
            answer = client.post(url, content=b"[1]")
            assert (answer.status_code, answer.json()["error"]["type"]) == (401, "unauthenticated")
    assert len(upstream.requests) == 1


def test_a_key_of_bytes_that_are_no_text_is_a_wrong_key(open_gateway, tmp_path):
    running = open_gateway(auth=Auth(required=True, keys=str(tmp_path / "keys.json")))
    headers = {b"x-api-key": b"\xff\xfe", b"content-type": b"\xff"}
    answer = plain_http.post(f"{running.gateway.url}/predictions/demo", content=b"[1]", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "unauthenticated")
