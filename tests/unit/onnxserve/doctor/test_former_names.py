"""Files of former names get the present ones; what is ambiguous is told."""

from __future__ import annotations

import json

import pytest

from onnxserve.doctor.former_names import former_names
from onnxserve.gateway import read_config, read_roles
from onnxserve.processes import lock_run_folder, make_run_folder


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


@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_a_file_of_the_present_name_that_came_after_the_check_is_not_replaced(settings, kind):
    former = settings.gateway_file.rename(settings.gateway_file.with_name("traffic.toml"))
    repair = former_names(settings).repair
    assert repair
    if kind == "file":
        settings.gateway_file.write_text("[auth]\nrequired = true\n")
    else:
        settings.gateway_file.symlink_to("elsewhere.toml")
    with pytest.raises(FileExistsError):
        repair.apply()
    assert "keys.json" in former.read_text()
    assert settings.gateway_file.is_symlink() or "required" in settings.gateway_file.read_text()


def test_files_that_a_running_server_reads_keep_their_names(settings):
    settings.gateway_file.rename(settings.gateway_file.with_name("traffic.toml"))
    make_run_folder(settings.run)
    with lock_run_folder(settings.run):
        finding = former_names(settings)
    assert finding.repair is None
    assert finding.fix.startswith("stop the server, then mv ")
