"""Commands that need no server: help with examples, errors without a traceback, JSON for machines."""

import json
import shlex
from typing import Any

import pytest
from typer.testing import CliRunner

from onnxserve.cli import app as boundary
from onnxserve.cli.predict import encode, golden_body, named_row
from onnxserve.errors import OnnxserveError
from onnxserve.torchserve.load_failures import failure_reason
from tests.helpers.program import run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "nowhere"], "there is no model definition here"),
        (["archive", "verify", "nowhere.mar"], "there is no such archive"),
        (["tune", "load", "nowhere.mar"], "there is no such archive"),
        (["new", "video", "x"], "no kind 'video'"),
        (["serve", "--store", "nowhere"], "can't read the model store"),
        (["serve", "--config", "nowhere.properties"], "can't read the configuration"),
        (["gateway", "render", "--gateway-file", "nowhere.toml"], "can't read the gateway's file"),
        (["predict", "x", "@nowhere.png"], "there is no such file"),
        (["release", "status", "--management-port", "1"], "no answer from the management API"),
        (
            ["release", "canary", "x", "2", "--auto", "--steps", "50,100"],
            "steps must rise from above 0 to below 100, got '50,100'",
        ),
        (["release", "canary", "x", "2", "--auto", "--false-alarm", "2"], "must be above 0 and below 1, got 2"),
    ],
)
def test_a_mistake_is_told_in_words(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_verify_and_doctor_speak_json(archive, monkeypatch, capsys):
    code, out, _ = run("archive", "verify", str(archive), "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, json.loads(out)["name"]) == (0, "circle")
    _, out, _ = run("doctor", "--store", str(archive.parent), "--json", monkeypatch=monkeypatch, capsys=capsys)
    findings = {finding["check"]: finding for finding in json.loads(out)}
    assert set(findings) == {
        "java",
        "kill",
        "torchserve",
        "plugin",
        "roles",
        "providers",
        "sockets",
        "loopback",
        "gateway",
        "model store",
        "trust",
        "drift",
        "threads",
        "folders",
        "permissions",
        "former names",
        "run folder",
        "registration",
    }
    assert all(finding["meaning"].endswith(".") for finding in findings.values())
    assert findings["model store"]["result"] == "circle 1.0.0"
    assert findings["loopback"]["fix"] == ""


def test_what_a_person_types_gets_its_content_type(tmp_path):
    picture = tmp_path / "a.PNG"
    picture.write_bytes(b"x")
    assert encode("good film") == (b"good film", "text/plain")
    assert encode(" [1, 2]") == (b" [1, 2]", "application/json")
    assert encode(f"@{picture}") == (b"x", "image/png")
    for name, kind in (("a.tif", "image/tiff"), ("a.wav", "audio/x-wav"), ("a", "application/octet-stream")):
        (tmp_path / name).write_bytes(b"x")
        assert encode(f"@{tmp_path / name}")[1] == kind
    with pytest.raises(OnnxserveError):
        encode("@nowhere")


def test_the_first_request_of_serve_is_a_golden_row(archive):
    assert json.loads(golden_body(archive)) == {"instances": [{"x": 0.0, "y": 0.1}]}


def test_a_golden_row_is_named_by_columns_only_where_it_is_a_tables():
    table = {"input": {"columns": ["x", {"name": "y", "type": "text"}]}}
    assert named_row([1, "a"], table) == {"x": 1, "y": "a"}
    assert named_row({"y": "a"}, table) == {"y": "a"}
    others: list[dict[str, Any]] = [{**table, "handler": "own:Own"}, {**table, "features": {"ttl_s": 1}}, {"input": {}}]
    assert [named_row([1, "a"], other) for other in others] == [[1, "a"]] * 3


def test_the_reason_of_a_refused_load_is_shown_once():
    lines = ["1 start", "2 Failed to load model x: no", "3 again", "4 Failed to load model x: no"]
    assert failure_reason(lines) == "\n    Failed to load model x: no"
    assert failure_reason(["1 start"]) == "\n    1 start"


def test_version_and_no_arguments_do_not_fail_badly():
    result = CliRunner().invoke(boundary.app, ["--version"])
    assert result.exit_code == 0


def test_a_command_that_is_shown_to_be_copied_quotes_a_path_with_a_space(monkeypatch, capsys, tmp_path):
    models = tmp_path / "my models"
    code, shown, _ = run("new", "table", "mine", "--models", str(models), monkeypatch=monkeypatch, capsys=capsys)
    [command] = [line.removeprefix("then: ") for line in shown.splitlines() if line.startswith("then: ")]
    assert (code, shlex.split(command)) == (0, ["onnxserve", "export", str(models / "mine")])
