"""A supervised TorchServe: killed, stopped, with workers that hang, and with archives that can't be loaded."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from onnxserve.archive import reconfigure
from onnxserve.errors import ServerError
from onnxserve.supervisor import Events, Probe, StopSignals, Supervisor, TorchServe, Watchdog
from onnxserve.supervisor.probes import ask_worker
from onnxserve.torchserve import Management, Settings
from tests.e2e.test_refusal import rewrite
from tests.helpers.disk import filled, small_disk
from tests.helpers.torchserve import ROOT
from tests.helpers.waiting import wait_for

READY_S = 150
CIRCLE = ("circle", "1.0.0")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "store").mkdir()
    return Settings(ROOT / "config.properties", tmp_path / "store", tmp_path / "state")


@contextlib.contextmanager
def supervised(settings: Settings, versions: set[tuple[str, str]]) -> Iterator[tuple[Supervisor, Watchdog, list[str]]]:
    """A TorchServe whose probes are impatient; the list grows at each `restore`."""
    restored: list[str] = []
    settings.state.mkdir()
    with (
        StopSignals() as signals,
        Supervisor(settings.run, Events(settings.state / "supervisor.log"), signals) as supervisor,
    ):
        events = Events(settings.state / "supervisor.log")
        torchserve = TorchServe(settings, events, lambda: versions, lambda: restored.append("restored"), {}, READY_S)
        quick = Management(settings.management, timeout_s=1.0)
        probes = (Probe("management API", quick.models, every_s=0.5, failures=3),)
        service = replace(torchserve.service(), probes=probes)
        yield supervisor, supervisor.begin(service), restored


def answers(settings: Settings) -> bool:
    with settings.inference.client(60, {"Content-Type": "application/json"}) as client:
        return client.post("/predictions/circle", content=b"[0, 0]").status_code == 200


def events(settings: Settings) -> list[dict[str, str]]:
    return [json.loads(line) for line in (settings.state / "supervisor.log").read_text().splitlines()]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_torchserve_is_replaced_and_serves_again(archive, settings, fault):
    shutil.copy(archive, settings.store)
    with supervised(settings, {CIRCLE}) as (supervisor, watchdog, restored):
        supervisor.wait(watchdog, READY_S)
        assert answers(settings)
        assert watchdog.running
        process = watchdog.running.process
        os.kill(process.pid, fault)
        wait_for(lambda: watchdog.restarts == 1 and watchdog.up())
        assert answers(settings)
        assert restored == ["restored", "restored"]
        assert process.returncode == -signal.SIGKILL
    assert not settings.inference.listening()
    assert [event["event"] for event in events(settings)][-1] == "stopped"


def test_a_full_disk_costs_logs_and_no_request_and_torchserve_comes_back_on_it(archive, tmp_path):
    (tmp_path / "store").mkdir()
    shutil.copy(archive, tmp_path / "store")
    with small_disk(tmp_path / "disk", "24m") as disk:
        settings = Settings(ROOT / "config.properties", tmp_path / "store", disk / "state")
        with supervised(settings, {CIRCLE}) as (supervisor, watchdog, _):
            supervisor.wait(watchdog, READY_S)
            with filled(disk):
                assert all(answers(settings) for _ in range(20))
                assert watchdog.restarts == 0
                assert watchdog.running
                os.kill(watchdog.running.process.pid, signal.SIGKILL)
                wait_for(lambda: watchdog.restarts >= 1 and watchdog.up())
                assert answers(settings)


def test_an_archive_without_traffic_holds_up_no_start_and_is_reported(archive, next_archive, settings):
    shutil.copy(archive, settings.store)
    shutil.copy(next_archive, settings.store)
    (settings.store / "damaged-1.0.0.mar").write_bytes(b"PK\5\6 no archive")
    management = Management(settings.management)
    with supervised(settings, {CIRCLE}) as (supervisor, watchdog, restored):
        supervisor.wait(watchdog, READY_S)
        assert restored
        assert answers(settings)
        wait_for(lambda: [version.model_version for version in management.versions("circle")] == ["1.0.0", "2.0.0"])
        wait_for(lambda: any(event["event"] == "refused" for event in events(settings)))
        wait_for(lambda: restored == ["restored", "restored"])
    [refused] = [event["detail"] for event in events(settings) if event["event"] == "refused"]
    assert refused.startswith("damaged-1.0.0.mar, which has no traffic:")


def test_a_served_version_that_cannot_be_loaded_ends_the_first_start_with_the_reason(archive, settings):
    rewrite(archive, settings.store / archive.name, "golden.json", b'"tolerance"', b'"tolerance" ')
    with supervised(settings, {CIRCLE}) as (supervisor, watchdog, restored):
        with pytest.raises(ServerError, match=r"circle 1.0.0 can't be loaded\n.*golden.json differs from its recorded"):
            supervisor.wait(watchdog, READY_S)
        assert restored == []
        assert watchdog.running
        assert not watchdog.running.alive()


def test_after_a_crash_a_version_that_no_longer_loads_does_not_keep_the_others_from_serving(
    archive, next_archive, settings
):
    shutil.copy(archive, settings.store)
    shutil.copy(next_archive, settings.store)
    with supervised(settings, {CIRCLE, ("circle", "2.0.0")}) as (supervisor, watchdog, restored):
        supervisor.wait(watchdog, READY_S)
        # Renamed, since the loader in the background would report a half-written file.
        broken = settings.state / next_archive.name
        rewrite(next_archive, broken, "golden.json", b'"tolerance"', b'"tolerance" ')
        broken.replace(settings.store / next_archive.name)
        assert watchdog.running
        os.kill(watchdog.running.process.pid, signal.SIGKILL)
        wait_for(lambda: watchdog.restarts == 1 and watchdog.up())
        assert answers(settings)
    # On a busy machine the impatient probe may replace TorchServe once more: then both come again.
    assert len(restored) >= 2
    refused = [event["detail"] for event in events(settings) if event["event"] == "refused"]
    assert {detail[: len("circle 2.0.0")] for detail in refused} == {"circle 2.0.0"}


def test_a_probe_of_a_stopped_worker_fails_and_lets_torchserve_replace_it(archive, settings):
    reconfigure(archive, settings.store / archive.name, {"responseTimeout": 3, "minWorkers": 1, "maxWorkers": 1})
    management = Management(settings.management)
    with supervised(settings, {CIRCLE}) as (supervisor, watchdog, _):
        supervisor.wait(watchdog, READY_S)
        assert ask_worker(settings.inference, CIRCLE)
        [worker] = management.versions("circle")[0].workers
        os.kill(worker.pid, signal.SIGSTOP)
        assert not ask_worker(settings.inference, CIRCLE, 1.0)
        wait_for(lambda: management.versions("circle")[0].workers[0].pid not in (worker.pid, 0))
        wait_for(lambda: management.versions("circle")[0].ready)
        assert ask_worker(settings.inference, CIRCLE)
        assert watchdog.restarts == 0
