"""The commands that a start of `onnxserve serve` proposes, run as they are printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onnxserve.archive import read_signature
from onnxserve.cli.after_export import serving_lines
from onnxserve.cli.first_request import GoldenRequest, request_command
from onnxserve.cli.gateway import config_of
from onnxserve.cli.predict import golden_body
from onnxserve.gateway.keys import Key, add
from onnxserve.migrate import read_stock, wrap
from onnxserve.supervisor.store import read_archive, stored_archives
from tests.helpers.certificates import Authority
from tests.helpers.issuer import Issuer
from tests.helpers.serving import begin, serving, settings_in
from tests.helpers.stock import HANDLER, doubler_members, with_manifest, write_zip
from tests.helpers.waiting import wait_for

PROGRAMS = Path(sys.executable).parent


def proposed(output: str) -> list[str]:
    """The lines below `try:`."""
    lines = output.partition("try:\n")[2].splitlines()
    commands = []
    for line in lines:
        if not line.startswith("  "):
            break
        commands.append(line.strip())
    return commands


def run_in_shell(command: str, folder: Path, **variables: str) -> str:
    """What it prints, in a terminal of its own in any folder."""
    environment = os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", **variables}
    words = ["bash", "-c", command]
    completed = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, (command, completed.stderr)
    return completed.stdout


def test_a_start_proposes_a_request_that_is_answered_and_the_status_of_this_server(real_models, tmp_path):
    request, status = proposed(real_models.output.read_text())
    answer = json.loads(run_in_shell(request, tmp_path))
    assert len(answer["predictions"]) == 1
    shown = run_in_shell(status, tmp_path)
    assert all(f"{model} " in shown for model in ("credit", "doubler", "minilm"))


def test_the_request_of_a_model_of_any_kind_is_answered(real_models, tmp_path):
    settings = real_models.settings
    requests = [
        GoldenRequest(*archive.version, golden_body(archive.path))
        for archive in stored_archives(settings.store)
        if archive.ours and archive.version
    ]
    assert len(requests) > 8
    for request in requests:
        name, served_versions = request.model, {(request.model, request.version)}
        command = request_command(settings, config_of(settings), request, served_versions)
        answer = json.loads(run_in_shell(command, tmp_path))
        assert (answer["model"], len(answer["predictions"])) == (name, 1), command


def test_what_an_export_proposes_is_answered_whatever_the_kind_of_input(real_models, tmp_path):
    settings, kinds = real_models.settings, set()
    for archive in stored_archives(settings.store):
        if archive.ours and archive.version:
            _, ask, *_ = serving_lines(archive.path, settings)
            command = f"{ask.removeprefix('ask it:   ')} --json"
            answer = json.loads(run_in_shell(command, tmp_path, ONNXSERVE_GATEWAY_FILE=str(settings.gateway_file)))
            assert (answer["model"], len(answer["predictions"])) == (archive.version[0], 1), command
            kinds.add(read_signature(archive.path)["input"]["kind"])
    assert kinds >= {"text", "image", "table", "audio"}


def test_with_tls_and_keys_the_request_brings_both(archive, tmp_path):
    Authority(tmp_path).sign("server")
    tables = '[tls]\ncertificate = "server.pem"\nkey = "server.key"\n[auth]\nrequired = true\nkeys = "keys.json"\n'
    settings = settings_in(tmp_path / "server", [archive], tables.replace('= "', f'= "{tmp_path}/'))
    secret = add(tmp_path / "keys.json", Key("desk"))
    server = begin(settings, tmp_path, "--warm-up", "0")
    try:
        wait_for(lambda: server.process.poll() is not None or "ready on " in server.output.read_text())
        request, status = proposed(server.output.read_text())
        answer = json.loads(run_in_shell(request, tmp_path, ONNXSERVE_KEY=secret))
        assert answer["predictions"][0]["label"] in ("inside", "outside")
        assert "circle" in run_in_shell(status, tmp_path)
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(90)


def test_with_tokens_and_certificates_of_clients_the_request_brings_both(archive, tmp_path):
    authority = Authority(tmp_path)
    authority.sign("server")
    authority.sign("client")
    issued = Issuer(tmp_path / "jwks.json")
    tables = f"""
[tls]
certificate = "{tmp_path}/server.pem"
key = "{tmp_path}/server.key"
client_ca = "{authority.file}"
[auth]
required = true
keys = "{tmp_path}/keys.json"
[auth.jwt]
issuer = "{issued.name}"
jwks = "{tmp_path}/jwks.json"
"""
    settings = settings_in(tmp_path / "server", [archive], tables)
    server = begin(settings, tmp_path, "--warm-up", "0")
    try:
        wait_for(lambda: server.process.poll() is not None or "ready on " in server.output.read_text())
        output = server.output.read_text()
        request, _ = proposed(output)
        answer = json.loads(run_in_shell(request, tmp_path, ONNXSERVE_TOKEN=issued.token()))
        assert answer["predictions"][0]["label"] in ("inside", "outside")
        assert f"client.pem and client.key: a certificate that {authority.file} signed" in output
        assert f"ONNXSERVE_TOKEN: a token of {issued.name}" in output
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(90)


def test_without_a_gateway_the_request_goes_to_torchserve(archive, tmp_path):
    settings = settings_in(tmp_path / "server", [archive])
    server = begin(settings, tmp_path, "--warm-up", "0", "--no-gateway")
    try:
        wait_for(lambda: server.process.poll() is not None or "ready on " in server.output.read_text())
        request, status = proposed(server.output.read_text())
        answer = json.loads(run_in_shell(request, tmp_path))
        assert answer["predictions"][0]["label"] in ("inside", "outside")
        assert "circle" in run_in_shell(status, tmp_path)
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(90)


def reads_bytes(members: dict[str, bytes]) -> dict[str, bytes]:
    """The same model under another name, whose handler reads bodies itself, as those of TorchServe's examples do."""
    decoded = b'row.get("data") or row.get("body")'
    assert decoded in HANDLER
    handler = HANDLER.replace(decoded, b"json.loads(" + decoded + b")")
    return with_manifest({**members, "doubler.py": handler}, modelName="bytes")


@pytest.mark.parametrize("is_migrated", [True, False], ids=["migrated", "as they were"])
def test_models_of_torchserve_answer_a_file_of_the_reader(tmp_path, is_migrated):
    members = {"bytes": reads_bytes(doubler_members()), "doubler": doubler_members()}
    old = [write_zip(tmp_path / f"{name}.mar", content) for name, content in members.items()]
    archives = [wrap(read_stock(path), tmp_path / "migrated")[0] for path in old] if is_migrated else old
    assert not any(read_archive(path).ours for path in archives)
    (tmp_path / "my numbers.json").write_text('{"numbers": [1, 2.5]}')
    with serving(settings_in(tmp_path / "server", archives), tmp_path, "--warm-up", "0") as server:
        line, status = proposed(server.output.read_text())
        request = line.replace("FILE", "'my numbers.json'", 1)
        assert json.loads(run_in_shell(request, tmp_path)) == {"numbers": [2, 5.0]}
        command, _, hint = line.partition(" # a file of JSON: ")
        assert bool(hint) == is_migrated
        if is_migrated:
            command = f"{command} {hint}".replace("FILE", "'my numbers.json'").replace("/bytes", "/doubler")
            assert json.loads(run_in_shell(command, tmp_path)) == {"numbers": [2, 5.0]}
        assert "doubler" in run_in_shell(status, tmp_path)
