"""Servers that a program starts: they answer, move roles, stand beside others, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import onnxserve
from onnxserve.errors import ReleaseError, RowError, ServerError
from onnxserve.gateway.keys import Key, add
from tests.helpers.certificates import Authority
from tests.helpers.forked import close_in_a_copy
from tests.helpers.plain_http import get
from tests.helpers.waiting import wait_for

ROWS = [[0.0, 0.1], [1.8, -1.7], [0.4, 0.4]]
KILLED = """
import sys, onnxserve
server = onnxserve.serve(sys.argv[1])
print(server.predict("circle", [[0.0, 0.1]])[0]["label"], server._process.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server(archive: Path, next_archive: Path) -> Iterator[onnxserve.Server]:
    """Both versions of a small model; the older one is stable."""
    with onnxserve.serve([archive, onnxserve.Archive(next_archive)]) as running:
        yield running


def processes_of(server: onnxserve.Server) -> list[psutil.Process]:
    leader = psutil.Process(server._process.process.pid)
    return [leader, *leader.children(recursive=True)]


@pytest.fixture
def temporary(monkeypatch) -> Iterator[Path]:
    """A folder for temporary files, short enough for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_it_answers_as_the_archive_does_in_this_process(server, archive):
    predictions = server.predict("circle", ROWS)
    assert predictions == onnxserve.Archive(archive).predict(ROWS)
    assert (predictions.model, predictions.version) == ("circle", "1.0.0")
    assert server.predict("circle", ROWS, version="2.0.0").version == "2.0.0"
    [prediction] = server.predict("circle", ROWS[:1], parameters={"top_k": 0})
    assert len(prediction["scores"]) == 2


def test_a_refused_row_is_named_as_in_this_process(server):
    with pytest.raises(RowError, match="expected a number") as caught:
        server.predict("circle", [*ROWS, {"x": 1.0, "y": "north"}])
    assert (caught.value.row, caught.value.type, caught.value.where) == (3, "invalid_row", "instances[3].y")
    with pytest.raises(ServerError, match="404"):
        server.predict("square", ROWS)


def test_a_canary_answers_its_share_and_is_taken_back(server):
    def answering() -> set[str]:
        return {server.predict("circle", ROWS[:1]).version for _ in range(5)}

    assert {status.version: status.role for status in server.status("circle")}["1.0.0"] == "stable"
    assert any("2.0.0" in line for line in server.canary("circle", "2.0.0", 100))
    wait_for(lambda: answering() == {"2.0.0"})
    server.rollback("circle")
    wait_for(lambda: answering() == {"1.0.0"})
    server.promote("circle", "2.0.0")
    wait_for(lambda: answering() == {"2.0.0"})
    server.rollback("circle")
    wait_for(lambda: answering() == {"1.0.0"})
    with pytest.raises(ReleaseError, match="percent"):
        server.canary("circle", "2.0.0", 101)


def test_a_notebook_shows_its_addresses_and_versions(server):
    page = server._repr_html_()
    assert server.url in page
    assert f'href="{server.console}"' in page
    assert "<td>2.0.0</td>" in page
    assert get(server.console, timeout=10, follow_redirects=True).status_code == 200


def test_another_one_stands_beside_it_and_leaves_nothing_behind(server, archive, next_archive, temporary, monkeypatch):
    monkeypatch.setenv("ONNXSERVE_STATE", str(server.state))  # as a shell may have it
    with onnxserve.serve(archive, gateway={"limits": {"body_bytes": 2000}}) as other:
        assert other.url != server.url
        assert other.register(next_archive) == "2.0.0"
        assert other.predict("circle", ROWS, version="2.0.0").version == "2.0.0"
        with pytest.raises(RowError) as caught:
            other.predict("circle", [[0.0, 0.0]] * 1000)
        assert caught.value.type == "too_large"
        running = processes_of(other)
        assert len(running) > 4
        assert other.state.is_relative_to(temporary)
    _, alive = psutil.wait_procs(running, 20)
    assert alive == []
    assert list(temporary.iterdir()) == []
    assert "closed" in repr(other)
    assert "is closed" in other._repr_html_()
    for call in (other.status, lambda: other.predict("circle", ROWS)):
        with pytest.raises(ServerError, match="the server was closed"):
            call()
    other.close()  # again, which changes nothing
    assert server.predict("circle", ROWS[:1])[0]["label"] == "inside"


def test_an_archive_that_is_refused_ends_the_start_with_its_reason(archive, next_archive, temporary, tmp_path):
    content = bytearray(next_archive.read_bytes())
    content[content.index(b"class Service(") + 6] ^= 1
    changed = tmp_path / "circle-2.0.0.mar"
    changed.write_bytes(content)
    with pytest.raises(ServerError, match=r"circle-2\.0\.0\.mar: .*damaged"):
        onnxserve.serve([archive, changed])
    assert list(temporary.iterdir()) == []


def test_its_client_has_a_key_and_trusts_its_certificate(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Authority(tmp_path / "pki").sign("server")
    secret = add(tmp_path / "keys.json", Key("desk"))
    gateway: dict[str, dict[str, Any]] = {
        "tls": {"certificate": "pki/server.pem", "key": "pki/server.key"},
        "auth": {"required": True, "keys": "keys.json"},
    }
    with onnxserve.serve(archive, gateway=gateway, client={"key": secret, "ca": "pki/ca.pem"}) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert server.predict("circle", ROWS[:1])[0]["label"] == "inside"
        assert len(server.client.predict("circle", ROWS)) == len(ROWS)
        with (
            onnxserve.Client(server.url, ca="pki/ca.pem") as stranger,
            pytest.raises(onnxserve.RequestFailed, match="401"),
        ):
            stranger.predict("circle", ROWS)
        with onnxserve.Client(server.url, key=secret) as distrustful, pytest.raises(onnxserve.Unreachable):
            distrustful.predict("circle", ROWS, timeout_s=1)


def test_a_client_that_can_not_be_made_ends_the_start(archive, temporary):
    gateway = {"tls": {"certificate": str(archive), "key": str(archive)}}
    with pytest.raises(ServerError, match="no certificate can be read"):
        onnxserve.serve(archive, gateway=gateway, client={"ca": "nowhere.pem"})
    assert list(temporary.iterdir()) == []


def test_a_folder_has_one_server_at_a_time_and_keeps_what_was_decided(archive, next_archive):
    with tempfile.TemporaryDirectory(prefix="stäte ☃ ") as state:
        with onnxserve.serve([archive, next_archive], state=state) as first:
            with pytest.raises(ServerError, match="another server runs with this folder"):
                onnxserve.serve(archive, state=state)
            first.promote("circle", "2.0.0")
            assert first.predict("circle", ROWS[:1]).version == "2.0.0"
        with onnxserve.serve([archive, next_archive], state=state) as second:
            assert second.predict("circle", ROWS[:1]).version == "2.0.0"


def test_a_copy_of_the_program_that_ends_leaves_its_server(server):
    close_in_a_copy(server)
    assert server.predict("circle", ROWS[:1])[0]["label"] == "inside"
    assert server.state.is_dir()


def test_a_program_that_is_killed_leaves_no_process(archive):
    command = [sys.executable, "-c", KILLED, str(archive)]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout
    label, leader = program.stdout.readline().split()
    assert label == "inside"
    running = [psutil.Process(int(leader)), *psutil.Process(int(leader)).children(recursive=True)]
    program.kill()
    program.communicate()
    _, alive = psutil.wait_procs(running, 60)
    assert alive == []
