"""Supervision of small real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from onnxserve.errors import ServerError
from onnxserve.supervisor import Backoff, Events, Stopped, StopSignals, Supervisor, Watchdog
from tests.helpers.disk import filled, small_disk
from tests.helpers.supervised import QUICK, Small, Started
from tests.helpers.waiting import wait_for

ROOT = Path(__file__).parents[2]


def events(state: Path, service: str) -> list[str]:
    lines = (state / "supervisor.log").read_text().splitlines()
    return [entry["event"] for entry in map(json.loads, lines) if entry["service"] == service]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@contextlib.contextmanager
def supervising(run: Path) -> Iterator[Supervisor]:
    run.parent.mkdir(exist_ok=True)
    with StopSignals() as signals, Supervisor(run, Events(run.parent / "supervisor.log"), signals) as supervisor:
        yield supervisor


def quick() -> Backoff:
    return replace(QUICK)


def test_a_service_that_died_is_started_again_and_no_other_is(run):
    back, front = Small(run, "back"), Small(run, "front")
    with supervising(run) as supervisor:
        watchdogs = [supervisor.begin(small.service(), quick()) for small in (back, front)]
        for watchdog in watchdogs:
            supervisor.wait(watchdog, 20)
        running = watchdogs[0].running
        assert running
        os.kill(running.process.pid, signal.SIGKILL)
        wait_for(lambda: watchdogs[0].restarts == 1 and watchdogs[0].up())
        assert back.ask()
        assert (back.readied, front.readied) == (2, 1)  # what every start needs is done again
        assert watchdogs[1].restarts == 0
    assert "ended (signal 9)" in events(run.parent, "back")
    assert not back.address.listening()
    assert not front.address.listening()


def test_a_start_that_takes_long_says_so_again_and_again(run, monkeypatch):
    monkeypatch.setattr("onnxserve.supervisor.supervisor.PROGRESS_S", 0.05)
    small = Small(run, "back")
    ready = lambda _: wait_for(lambda: events(run.parent, "back").count("starting") >= 2)  # noqa: E731
    with supervising(run) as supervisor:
        supervisor.wait(supervisor.begin(replace(small.service(), ready=ready), quick()), 30)


def test_a_service_that_is_stopped_while_it_begins_is_ended_and_not_waited_for(run):
    small = Small(run, "back")
    watchdogs: list[Watchdog] = []

    def start() -> Started:
        wait_for(lambda: watchdogs)
        assert watchdogs[0]._stopping.wait(20)
        return small.start()

    with supervising(run) as supervisor:
        watchdogs.append(supervisor.begin(replace(small.service(), start=start), quick()))
    assert small.readied == 0
    assert watchdogs[0].running
    assert not watchdogs[0].running.alive()


def test_a_hung_service_is_killed_and_replaced(run):
    small = Small(run, "back")
    with supervising(run) as supervisor:
        watchdog = supervisor.begin(small.service(), quick())
        supervisor.wait(watchdog, 20)
        assert watchdog.running
        process = watchdog.running.process
        os.kill(process.pid, signal.SIGSTOP)
        wait_for(lambda: watchdog.restarts == 1 and watchdog.up())
        assert process.returncode == -signal.SIGKILL
        assert small.ask()
    assert any(event.startswith("doesn't answer (health, 3 times") for event in events(run.parent, "back"))


def test_on_a_full_disk_a_service_is_replaced_all_the_same(tmp_path):
    with small_disk(tmp_path / "disk", "256k") as disk, supervising(disk / "state" / "run") as supervisor:
        small = Small(disk / "state" / "run", "back")
        watchdog = supervisor.begin(small.service(), quick())
        supervisor.wait(watchdog, 20)
        with filled(disk):
            assert watchdog.running
            os.kill(watchdog.running.process.pid, signal.SIGKILL)
            wait_for(lambda: watchdog.restarts == 1 and watchdog.up())
            assert small.ask()
            lines = len(events(disk / "state", "back"))
        os.kill(watchdog.running.process.pid, signal.SIGKILL)
        wait_for(lambda: watchdog.restarts == 2 and watchdog.up())
        assert len(events(disk / "state", "back")) > lines  # the log goes on when there is room again


def test_it_is_tried_again_and_again_ever_more_rarely_and_comes_back_when_it_can(run):
    small = Small(run, "back")
    with supervising(run) as supervisor:
        watchdog = supervisor.begin(small.service(), quick())
        supervisor.wait(watchdog, 20)
        (run / "back.broken").touch()
        assert watchdog.running
        os.kill(watchdog.running.process.pid, signal.SIGKILL)
        wait_for(lambda: len(small.started) >= 7)
        assert not watchdog.up()
        pauses = [after - before for before, after in zip(small.started[1:], small.started[2:], strict=False)]
        assert pauses[2] > 2 * QUICK.first_s
        assert all(pause > QUICK.most_s for pause in pauses[4:])
        (run / "back.broken").unlink()
        wait_for(watchdog.up)
        assert small.ask()


def test_a_first_start_that_fails_is_an_error_and_leaves_no_process(run):
    small = Small(run, "back")
    with supervising(run) as supervisor:
        (run / "back.broken").touch()
        watchdog = supervisor.begin(small.service(), quick())
        with pytest.raises(ServerError, match="back ended"):
            supervisor.wait(watchdog, 20)
        assert watchdog.running
        assert watchdog.running.process.returncode == 3
        assert len(small.started) == 1


def test_a_tick_that_fails_is_recorded_once_and_called_again(run):
    calls = []

    def tick() -> None:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("always")

    with supervising(run) as supervisor:
        supervisor.run(tick)
        with pytest.raises(Stopped):
            supervisor.wait(supervisor.begin(Small(run, "back").service()), 20)
    assert len(calls) == 3
    assert events(run.parent, "supervisor") == ["failed"]


@contextlib.contextmanager
def supervisor_process(
    run: Path, prefix: list[str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """One as a process of its own, and its services."""
    usual = ["env", "--default-signal=HUP"]  # whoever started the tests may have them ignore it, which children inherit
    command = [*usual, *(prefix or []), sys.executable, "-m", "tests.helpers.supervised", str(run)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            words = process.stdout.readline().split()
            yield process, [psutil.Process(int(word)) for word in words[1:]]
        finally:
            process.kill()


def test_a_signal_ends_the_services_the_youngest_first(run):
    with supervisor_process(run) as (process, services):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not any(service.is_running() for service in services)
    lines = [json.loads(line) for line in (run.parent / "supervisor.log").read_text().splitlines()]
    assert [line["service"] for line in lines if line["event"] == "stopped"] == ["front", "back"]


@pytest.mark.parametrize(
    ("kind", "prefix", "ends"), [(signal.SIGHUP, [], True), (signal.SIGHUP, ["nohup"], False)], ids=["closed", "nohup"]
)
def test_a_closed_terminal_ends_it_unless_nohup_was_asked_for(run, kind, prefix, ends):
    with supervisor_process(run, prefix) as (process, services):
        process.send_signal(kind)
        if ends:
            assert process.wait(20) == 0
        else:
            time.sleep(0.5)  # what must not happen has no event to wait for
            assert all(service.is_running() for service in services)
            process.terminate()
            assert process.wait(20) == 0
        assert not any(service.is_running() for service in services)


def test_a_second_signal_does_not_wait(run):
    run.mkdir()
    (run / "back.stubborn").touch()
    with supervisor_process(run) as (process, services):
        process.send_signal(signal.SIGINT)
        wait_for(lambda: not services[1].is_running())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not services[0].is_running()


def test_a_second_one_of_the_same_folder_is_refused_and_after_a_kill_the_next_takes_over(run):
    with supervisor_process(run) as (process, services):
        with supervisor_process(run) as (second, _):
            assert second.wait(20) == 1
            assert second.stderr
            assert f"another server runs with this state folder (process {process.pid})" in second.stderr.read()
        assert all(service.is_running() for service in services)
        process.kill()
        process.wait(20)
        _, left = psutil.wait_procs(services, 20)
        assert not left
    with supervisor_process(run) as (process, services):
        assert len(services) == 2
        assert Small(run, "front").ask()
        process.terminate()
        assert process.wait(20) == 0


def test_what_lingers_of_an_earlier_run_is_ended_before_anything_starts(run, tmp_path):
    small = Small(run, "back")
    run.mkdir(mode=0o700)
    lingering = small.start()
    try:
        wait_for(small.address.listening)
        with supervising(run) as supervisor:
            assert lingering.process.wait(10) == -signal.SIGKILL
            watchdog = supervisor.begin(small.service(), quick())
            supervisor.wait(watchdog, 20)
    finally:
        lingering.stop()
    assert events(tmp_path, "supervisor") == ["ended"]
