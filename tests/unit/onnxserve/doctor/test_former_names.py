"""Files of former names get the present ones; what is ambiguous is told."""

from __future__ import annotations

import json

from onnxserve.doctor.former_names import former_names
from onnxserve.gateway import read_config, read_roles


def test_files_of_former_names_are_renamed(settings):
    assert former_names(settings).fix == ""
    former = settings.gateway_file.rename(settings.gateway_file.with_name("traffic.toml"))
    (settings.state / "labels.json").write_text(json.dumps({"models": {}, "generation": 7}))
    finding = former_names(settings)
    assert str(former) in finding.result
    assert f"mv {former} {settings.gateway_file}" in finding.fix
    assert finding.repair
    finding.repair.apply()
    assert (former_names(settings).fix, former_names(settings).repair) == ("", None)
    assert read_config(settings.gateway_file).auth.keys.endswith("keys.json")
    roles = read_roles(settings.state / "roles.json")
    assert roles
    assert roles.generation == 7


def test_a_file_that_is_not_read_any_more_is_for_the_user_to_remove(settings):
    (settings.gateway_file.with_name("traffic.toml")).write_text("")
    finding = former_names(settings)
    assert "not read" in finding.result
    assert "traffic.toml" in finding.fix
    assert finding.repair is None


def test_former_variables_are_named_with_the_present_ones(settings, monkeypatch):
    monkeypatch.setenv("ONNXSERVE_EDGE_PORT", "8100")
    finding = former_names(settings)
    assert finding.fix == "set ONNXSERVE_GATEWAY_PORT in place of ONNXSERVE_EDGE_PORT"
    assert finding.repair is None
