"""Archives without traffic: loaded beside the others, retried after a failure, and reported."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from onnxserve.archive import write_archive
from onnxserve.supervisor import Backoff, Events
from onnxserve.supervisor.background_loader import BackgroundLoader
from onnxserve.supervisor.service import Running
from onnxserve.torchserve import Management, Settings
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.waiting import wait_for

WAIT_S = 30


class Process:
    """A service that runs until it is told to end."""

    def __init__(self) -> None:
        self.runs = True
        self.process: subprocess.Popen[bytes]

    def alive(self) -> bool:
        return self.runs

    def stop(self) -> None:
        self.runs = False


class Refusing(FakeTorchServe):
    """Registers nothing for the first `failures` times."""

    def __init__(self, versions: list[str], failures: int) -> None:
        super().__init__(versions)
        self.failures = failures

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and self.failures:
            self.failures -= 1
            return httpx.Response(503, json={"code": 503, "message": "no memory"})
        return super()._answer(request)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "store").mkdir()
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        manifest: dict[str, object] = {"model": {"modelName": "demo", "modelVersion": version, "handler": "h.py"}}
        write_archive(tmp_path / "store" / f"demo-{version}.mar", {"h.py": b""}, manifest)
    return Settings(tmp_path / "config.properties", tmp_path / "store", tmp_path / "state")


def loader_of(
    settings: Settings, server: FakeTorchServe, restored: list[str], pause_s: float = 0.0
) -> BackgroundLoader:
    settings.state.mkdir(exist_ok=True)
    management = Management("http://fake", transport=server.transport())
    events = Events(settings.state / "supervisor.log")
    return BackgroundLoader(
        settings, events, management, lambda: restored.append("restored"), Backoff(pause_s, pause_s)
    )


def reported(settings: Settings) -> list[str]:
    return [json.loads(line)["detail"] for line in (settings.state / "supervisor.log").read_text().splitlines()]


def test_what_has_no_traffic_is_registered_once_and_what_is_there_is_left_alone(settings):
    server, running = FakeTorchServe(["1.0.0", "2.0.0"]), Process()
    restored: list[str] = []
    loader_of(settings, server, restored).load(running, {("demo", "1.0.0")})
    assert server.versions == ["1.0.0", "2.0.0", "3.0.0"]
    assert restored == ["restored"]


def test_what_could_not_be_registered_is_tried_again_and_each_reason_is_reported_once(settings):
    server, running = Refusing(["1.0.0"], failures=5), Process()
    loader_of(settings, server, []).load(running, {("demo", "1.0.0")})
    assert sorted(server.versions) == ["1.0.0", "2.0.0", "3.0.0"]
    lines = reported(settings)
    assert [line.partition(",")[0] for line in lines] == ["demo-2.0.0.mar", "demo-3.0.0.mar"]
    assert all("no memory; retried in 0 s" in line for line in lines)


def test_what_is_no_archive_is_reported_and_not_tried_again(settings):
    (settings.store / "damaged.mar").write_bytes(b"PK")
    server, running = FakeTorchServe(["1.0.0", "2.0.0", "3.0.0"]), Process()
    loader_of(settings, server, []).load(running, {("demo", "1.0.0")})
    assert reported(settings) == ["damaged.mar, which has no traffic: it isn't an archive"]


def test_it_ends_with_the_server_that_it_registers_at(settings):
    server, running = Refusing(["1.0.0"], failures=10**6), Process()
    loader = loader_of(settings, server, [], pause_s=3600)
    thread = threading.Thread(target=loader.load, args=(running, {("demo", "1.0.0")}), daemon=True)
    thread.start()
    wait_for((settings.state / "supervisor.log").is_file)
    service: Running = running
    service.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
