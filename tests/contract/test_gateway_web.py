"""What browsers and proxies need: CORS, compression, the address of a client behind a proxy, HTTP/2 by ALPN."""

from __future__ import annotations

import gzip
import json
import socket
import ssl

import httpx
import pytest

from onnxserve.gateway import Roles
from onnxserve.gateway.config import Auth, Listen, Tls
from tests.helpers import plain_http
from tests.helpers.certificates import Authority
from tests.helpers.gateway import BODY, STABLE, client_of, config, gateway_of, opened
from tests.helpers.http2 import http2_connection, request_fields
from tests.helpers.raw import post_bytes, raw_connection

SHOP, OTHER = "https://shop.example", "https://other.example"
PREFLIGHT = {"origin": SHOP, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}


def allowed(answer: httpx.Response) -> str | None:
    """The origin that may read the answer."""
    assert "access-control-allow-credentials" not in answer.headers
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


def test_no_page_of_another_origin_may_ask_unless_it_is_named(client):
    answer = client.post(origin=SHOP)
    assert (answer.status_code, allowed(answer)) == (200, None)
    preflight = client.http.options("/predictions/demo", headers=PREFLIGHT)
    assert (preflight.status_code, allowed(preflight)) == (405, None)


@opened(listen=Listen(cors=(SHOP,)))
def test_pages_of_a_named_origin_may_ask_and_read_answers_and_errors(client, upstream):
    answer = client.post(origin=SHOP)
    assert (allowed(answer), answer.headers["vary"]) == (SHOP, "Origin")
    exposed = answer.headers["access-control-expose-headers"]
    assert {"x-request-id", "x-onnxserve-open-ended"} <= set(exposed.split(", "))
    for other in (OTHER, "https://shop.example.evil.example", "http://shop.example", "null", f"{SHOP}, {OTHER}"):
        assert allowed(client.post(origin=other)) is None
    assert allowed(client.post()) is None
    missing = client.post("/predictions/nobody", origin=SHOP)
    assert (missing.status_code, allowed(missing)) == (404, SHOP)
    upstream.answer = lambda *_: (503, b"{}")
    failed = client.post(origin=SHOP)
    assert (failed.status_code, allowed(failed)) == (503, SHOP)
    assert allowed(client.http.get("/v2/models/demo", headers={"origin": SHOP})) == SHOP


@opened(listen=Listen(cors=(SHOP,)))
def test_a_preflight_is_answered_by_the_gateway_for_the_named_origin(client, upstream):
    for path in ("/predictions/demo", "/v2/models/demo/infer", "/v2/models/demo", "/v2/models/demo/ready"):
        answer = client.http.options(path, headers=PREFLIGHT)
        assert (answer.status_code, allowed(answer), answer.content) == (204, SHOP, b"")
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "x-api-key" in answer.headers["access-control-allow-headers"]
        assert allowed(client.http.options(path, headers={**PREFLIGHT, "origin": OTHER})) is None
    assert upstream.requests == []


@opened(listen=Listen(cors=(SHOP,)), auth=Auth(required=True))
def test_a_preflight_brings_no_key_and_an_error_for_want_of_one_can_be_read(client):
    assert client.http.options("/predictions/demo", headers=PREFLIGHT).status_code == 204
    refused = client.post(origin=SHOP)
    assert (refused.status_code, allowed(refused)) == (401, SHOP)


@opened(listen=Listen(cors=("*",)))
def test_every_origin_may_ask_if_the_file_says_so_and_none_with_credentials(client):
    for origin in (SHOP, OTHER, "null"):
        assert allowed(client.post(origin=origin)) == "*"
        assert allowed(client.http.options("/predictions/demo", headers={**PREFLIGHT, "origin": origin})) == "*"
    assert allowed(client.post()) is None


# Compression --------------------------------------------------------------


def test_long_answers_are_compressed_for_whoever_takes_it(client, upstream):
    long = json.dumps({"predictions": [{"label": "x" * 2000}], "version": "1.0"}).encode()
    upstream.answer = lambda *_: (200, long)
    packed = client.post(accept_encoding="gzip")
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", long)
    plain = client.post(accept_encoding="identity")
    assert ("content-encoding" in plain.headers, plain.content) == (False, long)
    assert {request.headers.get("accept-encoding") for request in upstream.requests} == {None}
    upstream.answer = lambda *_: (200, b"{}")
    assert "content-encoding" not in client.post(accept_encoding="gzip").headers


def test_a_compressed_body_goes_on_as_it_came_for_the_handler_to_read(client, upstream):
    packed = gzip.compress(BODY)
    assert client.post(body=packed, content_encoding="gzip").status_code == 200
    [seen] = upstream.requests
    assert (seen.body, seen.headers["content-encoding"]) == (packed, "gzip")


# Proxies ------------------------------------------------------------------

SPOOFED = {"x_forwarded_for": "203.0.113.9", "x_real_ip": "203.0.113.9", "forwarded": "for=203.0.113.9"}


def test_a_client_says_in_vain_that_it_is_another(client, upstream):
    client.post(**SPOOFED, x_forwarded_proto="https", x_forwarded_host="evil.example")
    [seen] = upstream.requests
    assert seen.headers["x-onnxserve-client"] == "127.0.0.1"
    assert not any("203.0.113.9" in value or "evil" in value for value in seen.headers.values())
    assert client.logged(1)[0]["address"] == "127.0.0.1"


@opened(listen=Listen(trusted_proxies=("127.0.0.1", "10.0.0.0/8", "fd00::/8")))
def test_a_trusted_proxy_names_its_client_and_what_that_client_claimed_is_not_believed(client, upstream):
    for chain in (
        "203.0.113.9",
        "198.51.100.1, 203.0.113.9",
        "198.51.100.1, 203.0.113.9, 10.1.2.3",
        "junk, 203.0.113.9",
    ):
        client.post(x_forwarded_for=chain)
    assert {request.headers["x-onnxserve-client"] for request in upstream.requests} == {"203.0.113.9"}
    assert not any("x-forwarded-for" in request.headers for request in upstream.requests)
    client.post(x_forwarded_for="2001:db8::9")
    client.post()
    client.post(x_forwarded_for="nonsense")
    clients = [request.headers["x-onnxserve-client"] for request in upstream.requests[4:]]
    assert clients == ["2001:db8::9", "127.0.0.1", "127.0.0.1"]
    assert [line["address"] for line in client.logged(7)][3:5] == ["203.0.113.9", "2001:db8::9"]


@opened(listen=Listen(trusted_proxies=("192.0.2.1",)))
def test_another_address_than_the_trusted_proxys_is_not_believed(client, upstream):
    client.post(**SPOOFED)
    assert upstream.requests[0].headers["x-onnxserve-client"] == "127.0.0.1"


# HTTP/2 -------------------------------------------------------------------


def test_http_2_is_spoken_with_whoever_begins_with_it(client, upstream):
    with http2_connection(client.gateway.config.listen.port) as connection:
        streams = [connection.request(request_fields(b"/predictions/demo"), b"[%d]" % number) for number in range(3)]
        assert [connection.outcome(stream) for stream in streams] == [200, 200, 200]
    assert sorted(request.body for request in upstream.requests) == [b"[0]", b"[1]", b"[2]"]


@opened(listen=Listen(http2=False))
def test_without_http_2_its_preface_is_refused(client):
    with http2_connection(client.gateway.config.listen.port) as connection:
        assert connection.outcome(1) == "closed"
    assert client.post().status_code == 200


@pytest.mark.parametrize("http2", [True, False])
def test_tls_offers_http_2_unless_it_is_off(upstream, tmp_path, http2):
    authority = Authority(tmp_path / "pki")
    certificate, key = authority.sign("server")
    tables = config(tls=Tls(str(certificate), str(key)), listen=Listen(http2=http2))
    with client_of(gateway_of(tables, tmp_path, upstream.port), Roles({"demo": STABLE})) as client:
        context = ssl.create_default_context(cafile=str(authority.file))
        context.set_alpn_protocols(["h2", "http/1.1"])
        port = client.gateway.config.listen.port
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.selected_alpn_protocol() == ("h2" if http2 else "http/1.1")


def test_both_versions_are_spoken_on_one_port_at_the_same_time(client):
    port = client.gateway.config.listen.port
    with http2_connection(port) as second, raw_connection(port) as first:
        stream = second.request(request_fields(b"/v2/models/demo/infer"), BODY)
        answer = first.ask(post_bytes())
        assert answer is not None
        assert (answer.status, second.outcome(stream)) == (200, 200)


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/console/nowhere", 404, "not_found"),
        ("POST", "/console/index.html", 405, "method_not_allowed"),
        ("GET", "/metrics", 503, "unavailable"),  # nobody counts here
    ],
)
def test_what_the_consoles_port_refuses_has_the_form_of_all_errors(shared, method, path, status, kind):
    port = shared.client.gateway.config.listen.metrics_port
    answer = plain_http.request(method, f"http://127.0.0.1:{port}{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["error"]["type"] == kind
