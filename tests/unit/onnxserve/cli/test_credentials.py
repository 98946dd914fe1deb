"""What a proposed command brings for the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.cli.credentials import credentials
from onnxserve.gateway import GatewayConfig
from onnxserve.gateway.config import Auth, Jwt, Tls
from onnxserve.gateway.keys import Key, add

KEY = '-H "x-api-key: $ONNXSERVE_KEY"'
TOKEN = '-H "Authorization: Bearer $ONNXSERVE_TOKEN"'


def brought(**tables: Any) -> list[str]:
    return [each.words for each in credentials(GatewayConfig(**tables))]


def test_a_gateway_that_lets_everybody_in_demands_nothing():
    assert brought(tls=Tls("server.pem", "server.key"), auth=Auth(jwt=Jwt("https://issuer.test"))) == []


def test_an_authority_of_clients_demands_a_certificate_that_it_signed():
    tls = Tls("server.pem", "server.key", "/pki/clients.pem")
    [certificate] = credentials(GatewayConfig(tls=tls))
    assert certificate.words == "--cert client.pem --key client.key"
    assert "a certificate that /pki/clients.pem signed" in certificate.source
    assert brought(tls=tls, auth=Auth(required=True)) == [certificate.words, KEY]


def test_a_token_is_brought_where_nobody_has_a_key(tmp_path: Path):
    auth = Auth(required=True, keys=str(tmp_path / "keys.json"), jwt=Jwt("https://issuer.test"))
    [token] = credentials(GatewayConfig(auth=auth))
    assert (token.words, token.source) == (TOKEN, "ONNXSERVE_TOKEN: a token of https://issuer.test")
    add(tmp_path / "keys.json", Key("desk"))
    assert brought(auth=auth) == [KEY]
    (tmp_path / "keys.json").write_text("{")
    assert brought(auth=auth) == [KEY]
