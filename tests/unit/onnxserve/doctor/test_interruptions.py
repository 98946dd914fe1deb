"""What a killed server and a killed command leave is found and removed, and what runs is left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from onnxserve.archive import Stores
from onnxserve.doctor.interruptions import registration, run_folder
from onnxserve.errors import ReleaseError, ServerError
from onnxserve.gateway.gateway import CONTROL
from onnxserve.processes import end_group, lock_run_folder, make_run_folder, spawn
from onnxserve.release.store_lock import store_lock
from onnxserve.torchserve import own_stores, record_stores
from tests.helpers.waiting import wait_for


@pytest.fixture
def killed(settings):
    """The run folder of a server that was killed, with a process that it started."""
    make_run_folder(settings.run)
    (settings.run / "gateway.json").write_text("{}")
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    record = settings.run / "torchserve.process"
    process = spawn(command, folder=settings.run, log=settings.run / "log", record=record)
    yield process
    end_group(process, signal.SIGKILL, 0)


def test_processes_and_the_record_of_a_killed_server_are_ended_and_removed(settings, killed):
    finding = run_folder(settings)
    assert f"processes {killed.pid} and the record of a running gateway" in finding.result
    assert finding.fix
    assert finding.repair
    finding.repair.apply()
    assert killed.wait(20) == -signal.SIGKILL
    assert not (settings.run / "gateway.json").exists()
    assert (run_folder(settings).fix, run_folder(settings).repair) == ("", None)


def test_a_server_that_runs_is_left_alone_even_if_it_started_after_the_check(settings, killed):
    before = run_folder(settings)
    assert before.repair
    with lock_run_folder(settings.run):
        assert (run_folder(settings).fix, run_folder(settings).repair) == ("", None)
        with pytest.raises(ServerError, match="another server runs"):
            before.repair.apply()
    assert killed.poll() is None
    assert (settings.run / "gateway.json").exists()


def test_a_gateway_that_was_started_alone_after_the_check_is_left_alone(settings, killed):
    before = run_folder(settings)
    assert before.repair
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(settings.run / CONTROL))
        control.listen()
        with pytest.raises(ServerError, match="a gateway has started"):
            before.repair.apply()
    assert killed.poll() is None
    assert (settings.run / "gateway.json").exists()


def test_records_in_another_users_run_folder_end_no_process(settings, killed, monkeypatch):
    before = run_folder(settings)
    assert before.repair
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(ServerError, match="isn't a folder of this user"):
        before.repair.apply()
    assert killed.poll() is None


def test_a_stop_in_good_order_leaves_nothing_to_say(settings):
    assert run_folder(settings).fix == ""
    make_run_folder(settings.run)
    with lock_run_folder(settings.run):
        pass
    assert run_folder(settings).fix == ""


def test_an_interrupted_registration_is_removed_from_the_store(settings):
    assert registration(settings).fix == ""
    left = settings.store / "demo-2.0.0.registering.mar"
    left.write_bytes(b"half")
    finding = registration(settings)
    assert str(left) in finding.result
    assert finding.fix
    assert finding.repair
    finding.repair.apply()
    assert not left.exists()
    assert (registration(settings).fix, registration(settings).repair) == ("", None)


def test_it_is_removed_from_the_store_of_a_running_server_too(settings):
    make_run_folder(settings.run)
    stores: Stores = own_stores(settings)
    stores.server.mkdir()
    for store in (stores.user, stores.server):
        (store / "demo-2.0.0.registering.mar").write_bytes(b"half")
    stores.server.chmod(0o500)
    with lock_run_folder(settings.run):
        record_stores(settings, stores)
        finding = registration(settings)
        assert finding.repair
        finding.repair.apply()
        assert registration(settings).fix == ""
    assert [*stores.user.iterdir(), *stores.server.iterdir()] == []


def test_a_registration_under_way_is_left_alone(settings):
    (settings.store / "demo-2.0.0.registering.mar").write_bytes(b"half")
    before = registration(settings)
    assert before.repair
    program = (
        "import pathlib, sys; from onnxserve.release.store_lock import store_lock\n"
        "with store_lock(pathlib.Path(sys.argv[1]), 9): pathlib.Path(sys.argv[2]).touch(); sys.stdin.read()"
    )
    ready = settings.state / "ready"
    command = [sys.executable, "-c", program, str(settings.state), str(ready)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        try:
            wait_for(ready.exists, 30)
            assert registration(settings).result == "an archive is being registered now"
            assert registration(settings).fix == ""
            with pytest.raises(ReleaseError):
                before.repair.apply()
        finally:
            with contextlib.suppress(OSError):
                other.communicate(b"", 30)
    with store_lock(settings.state, 0):
        pass
    assert (settings.store / "demo-2.0.0.registering.mar").exists()
