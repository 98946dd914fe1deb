"""What a server of its own is started with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from onnxserve.api.server_process import environment, gateway_text, start_process
from onnxserve.errors import GatewayError, ServerError


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


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match="can't be written") as caught:
        start_process(tmp_path / "store", tmp_path / "file", {})
    assert caught.value.where == str(tmp_path / "file")


def test_files_of_a_section_are_relative_to_the_present_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jwt = {"issuer": "https://issuer", "jwks": "jwks.json"}
    sections: dict[str, dict[str, Any]] = {
        "tls": {"certificate": Path("a.pem"), "key": "/b.pem"},
        "auth": {"keys": "keys.json", "jwt": jwt},
    }
    document = tomllib.loads(gateway_text(sections))
    assert document["tls"] == {"certificate": str(tmp_path / "a.pem"), "key": "/b.pem"}
    assert document["auth"]["keys"] == str(tmp_path / "keys.json")
    assert document["auth"]["jwt"] == {"issuer": "https://issuer", "jwks": str(tmp_path / "jwks.json")}
    assert tomllib.loads(gateway_text({"predictions": {"folder": ""}}))["predictions"] == {"folder": ""}


def test_a_certificate_that_is_not_there_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GatewayError, match="no such file") as caught:
        start_process(tmp_path / "store", tmp_path / "server", {"tls": {"certificate": "a.pem", "key": "b.pem"}})
    assert caught.value.where == str(tmp_path / "a.pem")
    assert not (tmp_path / "server" / "serve.log").exists()
