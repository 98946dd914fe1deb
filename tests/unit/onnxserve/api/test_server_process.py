"""What a server of its own is started with."""

from __future__ import annotations

import tomllib

import pytest

from onnxserve.api.server_process import environment, gateway_text, start_process
from onnxserve.errors import GatewayError


def test_it_has_free_ports_unless_they_are_named():
    document = tomllib.loads(gateway_text({"cache": {"seconds": 60.0}, "default": {"a-b": "1.0.0"}}))
    assert document["listen"]["port"] != document["listen"]["metrics_port"]
    assert (document["cache"], document["default"]) == ({"seconds": 60.0}, {"a-b": "1.0.0"})
    named = tomllib.loads(gateway_text({"listen": {"port": 8123, "cors": ["http://a.example"]}}))["listen"]
    assert (named["port"], named["cors"]) == (8123, ["http://a.example"])
    assert named["metrics_port"] != document["listen"]["metrics_port"]


def test_variables_that_name_another_server_s_places_are_left_out(monkeypatch):
    monkeypatch.setenv("ONNXSERVE_STATE", "/elsewhere")
    monkeypatch.setenv("ONNXSERVE_INFERENCE_PORT", "8080")
    monkeypatch.setenv("ONNXSERVE_EDGE_PORT", "8000")
    monkeypatch.setenv("ONNXSERVE_PUBLIC_KEY", "ours.pub")
    monkeypatch.setenv("STATE", "kept")
    variables = environment()
    assert {"ONNXSERVE_STATE", "ONNXSERVE_INFERENCE_PORT", "ONNXSERVE_EDGE_PORT"} & variables.keys() == set()
    assert (variables["ONNXSERVE_PUBLIC_KEY"], variables["STATE"]) == ("ours.pub", "kept")


@pytest.mark.parametrize("gateway", [{"cash": {"seconds": 1.0}}, {"listen": {"port": 0}}, {"tls": {"key": "a.pem"}}])
def test_a_section_that_the_gateway_does_not_have_starts_nothing(gateway, tmp_path):
    with pytest.raises(GatewayError) as caught:
        start_process(tmp_path / "store", tmp_path / "server", gateway)
    assert caught.value.where == "gateway"
    assert not (tmp_path / "server" / "serve.log").exists()


def test_tls_is_refused_at_once_since_no_client_in_this_program_would_trust_it(tmp_path):
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    tls = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    with pytest.raises(GatewayError, match="plain HTTP") as caught:
        start_process(tmp_path / "store", tmp_path / "server", {"tls": tls})
    assert "onnxserve serve" in caught.value.fix
    assert not (tmp_path / "server" / "serve.log").exists()
