"""TorchServe's own processes: where they listen, who reaches them, and that they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from onnxserve.client import Address
from onnxserve.errors import ServerError
from onnxserve.processes import end_stale_processes
from onnxserve.torchserve import Management, Settings, start_server
from tests.helpers.torchserve import ROOT, stock_config
from tests.helpers.waiting import wait_for

# A supervisor that is killed: starts TorchServe, says where its processes are, and waits.
SUPERVISOR = """
import sys, time
from pathlib import Path
from onnxserve.torchserve import Settings, start_server
config, store, state = map(Path, sys.argv[1:])
print(start_server(Settings(config, store, state)).process.pid, flush=True)
time.sleep(600)
"""
CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("connected")
    except PermissionError:
        print("refused")
"""


def ready(management: Management) -> bool:
    try:
        return all(version.ready for version in management.versions("circle"))
    except ServerError:
        return False


def answer(inference: Address):
    with inference.client(60) as client:
        response = client.post("/predictions/circle", content=b"[0, 0]", headers={"Content-Type": "application/json"})
    return response.json()


@pytest.fixture
def settings(archive, tmp_path) -> Settings:
    store = tmp_path / "store"
    store.mkdir()
    (store / archive.name).write_bytes(archive.read_bytes())
    return Settings(ROOT / "config.properties", store, tmp_path / "state")


def test_torchserve_listens_on_sockets_only_and_no_other_user_reaches_them(settings):
    server = start_server(settings)
    try:
        wait_for(lambda: ready(Management(settings.management)))
        assert answer(settings.inference)["predictions"][0]["label"] == "inside"
        with settings.metrics.client() as client:
            assert client.get("/metrics").status_code == 200
        processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
        ports = [
            connection.laddr
            for process in processes
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert ports == []  # neither HTTP nor TorchServe's gRPC
        sockets = [str(a.path) for a in (settings.inference, settings.management, settings.metrics)]
        sockets += [str(path) for path in (settings.state / "tmp").resolve().iterdir() if path.is_socket()]
        assert len(sockets) > 3  # a worker's too
        if os.geteuid() == 0:
            for folder in (settings.state, *settings.state.resolve().parents):
                if folder != Path("/") and folder.stat().st_mode & 0o001 == 0:
                    folder.chmod(folder.stat().st_mode | 0o011)  # what protects must be the run folder itself
            completed = subprocess.run(
                [sys.executable, "-I", "-S", "-c", CONNECT, *sockets], capture_output=True, text=True, check=True
            )
            assert completed.stdout.split() == ["refused"] * len(sockets)
        with pytest.raises(ServerError, match="a server listens already"):
            start_server(settings)
    finally:
        server.stop()
    assert not settings.management.listening()


@pytest.mark.parametrize("worker", ["ours", "stock"])
def test_a_killed_supervisor_leaves_no_process_and_the_next_start_takes_over(settings, worker, tmp_path):
    config = settings.config if worker == "ours" else stock_config(tmp_path / "config")
    arguments = [str(config), str(settings.store), str(settings.state)]
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, *arguments], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        frontend = psutil.Process(int(supervisor.stdout.readline()))
        try:
            wait_for(lambda: ready(Management(settings.management)))
            processes = [frontend, *frontend.children(recursive=True)]
            assert len(processes) > 1
        finally:
            supervisor.send_signal(signal.SIGKILL)
    ended, left = psutil.wait_procs(processes, 30)
    assert not left
    assert len(ended) == len(processes)
    assert (settings.run / "inference.sock").exists()  # stale: nobody listens
    assert end_stale_processes(settings.run) == []
    server = start_server(settings)
    try:
        wait_for(lambda: ready(Management(settings.management)))
        assert json.dumps(answer(settings.inference))
    finally:
        server.stop()
