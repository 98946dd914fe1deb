"""What `onnxserve serve` asks its models once it is up, and the commands that it proposes."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnxserve.cli import first_request
from onnxserve.cli.first_request import GoldenRequest, next_steps
from onnxserve.errors import ServerError
from onnxserve.gateway import GatewayConfig
from onnxserve.gateway.config import Auth, Tls
from onnxserve.supervisor.store import StoredArchive
from onnxserve.torchserve import Settings, resolve_settings

DEFAULT = Settings(Path("config.properties"))
CONFIG = GatewayConfig()
SHORT = GoldenRequest("praise", "1.0", b'{"instances":["it isn\'t bad"]}')
LONG = GoldenRequest("photo", "1.0", b'{"instances":["%s"]}' % (b"A" * 5000))


def test_a_version_that_gives_no_first_answer_is_reported_and_ends_nothing(monkeypatch, capsys):
    def ask(_: object, model: str, *_more: object, timeout_s: float) -> dict[str, Any]:
        assert timeout_s <= 10
        if model == "bad":
            raise ServerError("507: Worker died.")
        return {"predictions": [{"label": "inside"}]}

    stored = [StoredArchive(Path(f"{name}.mar"), (name, "1.0"), ours=True) for name in ("bad", "good", "idle")]
    monkeypatch.setattr(first_request, "stored_archives", lambda _: stored)
    monkeypatch.setattr(first_request, "golden_body", lambda _: b"{}")
    monkeypatch.setattr(first_request, "ask", ask)
    answered = first_request.first_answers(DEFAULT, {("bad", "1.0"), ("good", "1.0")})
    captured = capsys.readouterr()
    assert captured.out == "good 1.0: {'label': 'inside'}\n"
    assert captured.err == "bad 1.0: no answer: 507: Worker died.\n"
    assert answered == [GoldenRequest("good", "1.0", b"{}")]


def test_of_a_long_first_answer_its_begin_is_shown(monkeypatch, capsys):
    stored = [StoredArchive(Path("cut.mar"), ("cut", "1.0"), ours=True)]
    monkeypatch.setattr(first_request, "stored_archives", lambda _: stored)
    monkeypatch.setattr(first_request, "golden_body", lambda _: b"{}")
    monkeypatch.setattr(first_request, "ask", lambda *_, **__: {"predictions": [{"embedding": [0.5] * 1000}]})
    first_request.first_answers(DEFAULT, {("cut", "1.0")})
    printed = capsys.readouterr().out.replace("\n", "")
    assert printed.startswith("cut 1.0: {'embedding': [0.5, 0.5")
    assert printed.endswith("…")
    assert len(printed) == first_request.WIDEST + 1


def proposals(settings: Settings, config: GatewayConfig | None, *answered: GoldenRequest) -> list[list[str]]:
    """The proposed commands, split into words as a shell splits them."""
    served_versions = {(each.model, each.version) for each in answered}
    first, *lines = next_steps(settings, config, answered, served_versions).splitlines()
    assert first == "try:"
    return [shlex.split(line) for line in lines]


def test_the_shortest_row_that_was_answered_is_proposed():
    request, status = proposals(DEFAULT, CONFIG, LONG, SHORT)
    assert json.loads(request[request.index("-d") + 1]) == {"instances": ["it isn't bad"]}
    assert request[-1] == "http://127.0.0.1:8000/predictions/praise"
    assert status == ["onnxserve", "release", "status"]


def test_a_row_that_is_too_long_for_a_command_lies_in_a_file(tmp_path):
    request, _ = proposals(replace(DEFAULT, state=tmp_path), CONFIG, LONG)
    assert Path(request[request.index("-d") + 1].removeprefix("@")).read_bytes() == LONG.body
    assert max(map(len, request)) < 200


def test_of_a_model_with_several_versions_the_one_that_answered_is_asked():
    served_versions = {("praise", "1.0"), ("praise", "2.0")}
    assert "/predictions/praise/1.0" in next_steps(DEFAULT, CONFIG, [SHORT], served_versions)


def test_the_request_goes_where_this_server_listens(tmp_path):
    closed = msgspec.structs.replace(CONFIG, auth=Auth(required=True), tls=Tls("/pki/my server.pem", "/pki/key.pem"))
    source, _, line, _ = map(str.strip, next_steps(DEFAULT, closed, [SHORT], set()).splitlines())
    assert source == "ONNXSERVE_KEY: a key of keys.json; onnxserve keys add CLIENT makes one"
    assert line.startswith("curl --cacert '/pki/my server.pem' -H \"x-api-key: $ONNXSERVE_KEY\" -H ")
    assert "https://127.0.0.1:8000/predictions/praise" in line
    request, status = proposals(replace(DEFAULT, state=tmp_path), None, SHORT)
    assert request[1:3] == ["--unix-socket", str(tmp_path / "run" / "inference.sock")]
    assert status[3:] == ["--state", str(tmp_path)]
    plain = replace(DEFAULT, plain=True, inference_port=90, management_port=91)
    request, status = proposals(plain, None, SHORT)
    assert request[-1] == "http://127.0.0.1:90/predictions/praise"
    assert status[3:] == ["--management-port", "91"]


@pytest.mark.parametrize("migrated", [True, False])
def test_of_a_model_of_torchserve_a_file_of_the_readers_own_is_proposed(monkeypatch, migrated):
    stored = [
        StoredArchive(Path("a.mar"), ("new", "1.0"), ours=True),
        StoredArchive(Path("b.mar"), ("old", "1.0"), ours=False, migrated=migrated),
        StoredArchive(Path("c.mar"), ("older", "1.0"), ours=False, migrated=migrated),
        StoredArchive(Path("d.mar"), None, ours=False),
    ]
    monkeypatch.setattr(first_request, "stored_archives", lambda _: stored)
    steps = next_steps(DEFAULT, CONFIG, [], {("new", "1.0"), ("old", "1.0"), ("older", "1.0")})
    assert "curl -T FILE http://127.0.0.1:8000/predictions/old" in steps
    assert steps.count("/predictions/") == 1, "the other has just failed to answer"
    assert ("# a file of JSON: -H 'Content-Type: application/json'" in steps) is migrated, "others get its bytes"


@pytest.mark.parametrize("variable", ["ONNXSERVE_STATE", "ONNXSERVE_MANAGEMENT_PORT"])
def test_what_the_environment_says_needs_no_flag(monkeypatch, tmp_path, variable):
    monkeypatch.setenv(variable, str(tmp_path) if variable.endswith("STATE") else "91")
    settings = resolve_settings({variable: os.environ[variable]}, {})
    assert proposals(settings, CONFIG, SHORT)[1] == ["onnxserve", "release", "status"]
