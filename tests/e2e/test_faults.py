"""What breaks under `onnxserve serve`, one after the other, and what of it its clients may see.

Every row is new, so no answer comes from before. The clients retry as sane ones do: whatever breaks, all of their
requests are answered in the end, and each attempt that isn't has one of the outcomes that a test allows.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from onnxserve.archive import reconfigure
from onnxserve.errors import GatewayError
from onnxserve.gateway import Canary
from onnxserve.gateway.nginx_process import workers as nginx_workers
from onnxserve.processes import listening
from onnxserve.torchserve import free_ports
from tests.helpers.disk import filled, small_disk
from tests.helpers.keepalive import KeepAlive, running, total
from tests.helpers.retrying import Clients, asking, fresh_row
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.torchserve import ROOT
from tests.helpers.waiting import wait_for

CLIENTS = 6
PATH = "/predictions/circle"
ANSWER_S = 10
KILLS = 20
TABLES = f"""
[deadline]
answer_s = {ANSWER_S}
[logs]
megabytes = 1
"""
# One attempt of a client that isn't answered, and why that may be.
UNAVAILABLE = {"503 unavailable", "507 worker_ended", "503 queue_full"}
LATE = {"504 deadline_exceeded"}


@contextlib.contextmanager
def state_folder(folder: Path) -> Iterator[tuple[Path, bool]]:
    """On a small disk where one can be mounted."""
    try:
        with small_disk(folder / "disk", "192m") as disk:
            yield disk / "state", True
    except pytest.skip.Exception:
        yield folder / "state", False


@pytest.fixture(scope="module")
def archives(archive, next_archive, tmp_path_factory) -> list[Path]:
    """Circle 1.0.0 with two workers, 2.0.0 with one."""
    two = tmp_path_factory.mktemp("two") / archive.name
    reconfigure(archive, two, {"minWorkers": 2, "maxWorkers": 2})
    return [two, next_archive]


@pytest.fixture(scope="module")
def server(archives, demo_archives, tmp_path_factory) -> Iterator[Serving]:
    """With another model, and one that takes features of a server of its own."""
    folder = tmp_path_factory.mktemp("faults")
    others = [path for path in demo_archives if path.name.startswith(("segment", "churn"))]
    [features] = free_ports(1)
    words = ["--features", str(ROOT / "models" / "churn" / "store"), "--features-port", str(features), "--warm-up", "0"]
    with state_folder(folder) as (state, _):
        settings = settings_in(folder, [*archives, *others], TABLES, state)
        with serving(settings, folder, *words) as server:
            yield server


@contextlib.contextmanager
def under_load(server: Serving, *allowed: str, resets: int = 0) -> Iterator[Clients]:
    """Clients ask meanwhile; what isn't allowed fails, and so does a request without an answer in the end."""
    with asking(server.port, PATH, CLIENTS) as clients:
        yield clients
        wait_for(server.is_ready)
    attempts = clients.attempts
    assert clients.given_up == 0, attempts
    assert set(attempts) <= {"answered", "reset", *allowed}, attempts
    assert attempts["reset"] <= resets, attempts


def both_workers(server: Serving) -> list[psutil.Process]:
    """Those of the stable version, when both live: a test before may have ended one."""
    wait_for(lambda: len(server.workers("circle")) == 2)
    return server.workers("circle")


# nginx --------------------------------------------------------------------


def test_nginx_master_is_killed_and_nobody_notices(server):
    master, starts = server.leader("gateway"), server.starts("gateway")
    with under_load(server):
        master.kill()
        wait_for(lambda: server.starts("gateway") == starts + 1)


def test_nginx_worker_is_killed_and_at_most_what_it_had_is_lost(server):
    master = server.leader("gateway")
    with under_load(server, resets=CLIENTS):
        [worker] = nginx_workers(master.pid)
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: nginx_workers(master.pid) - {worker})
    assert server.leader("gateway") == master
    wait_for(lambda: any(event["event"] == "lost a worker process" for event in server.events()))


def test_nginx_hangs_and_is_replaced_at_most_what_it_had_is_lost_and_no_step_counts_meanwhile(server):
    master, starts, release = server.leader("gateway"), server.starts("gateway"), server.release
    before = release.role_store.roles
    with under_load(server, resets=CLIENTS):
        master.suspend()  # first, so that it starts no further worker
        for process in master.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # one of before the last reload, which is ending
                process.suspend()
        with pytest.raises(GatewayError, match="the gateway does not answer"):
            release.canary("circle", Canary("2.0.0", 10))
        assert release.role_store.roles == before
        wait_for(lambda: server.starts("gateway") == starts + 1)


# TorchServe ---------------------------------------------------------------


def test_torchserve_is_killed_and_every_attempt_until_it_is_back_is_told_so(server):
    starts = server.starts("torchserve")
    with under_load(server, *UNAVAILABLE):
        server.leader("torchserve").kill()
        wait_for(lambda: server.starts("torchserve") == starts + 1)


def test_torchserve_hangs_and_is_replaced(server):
    starts = server.starts("torchserve")
    with under_load(server, *UNAVAILABLE, *LATE):
        server.leader("torchserve").suspend()
        wait_for(lambda: server.starts("torchserve") == starts + 1)


def test_one_of_two_workers_is_killed_and_nobody_notices(server):
    with under_load(server) as clients:
        first, _ = both_workers(server)
        first.kill()
        clients.wait(300)
        wait_for(lambda: len(server.workers("circle")) == 2 and first not in server.workers("circle"))


def test_workers_that_are_killed_again_and_again_cost_nobody_an_answer(server):
    with under_load(server) as clients:
        for _ in range(KILLS):
            wait_for(lambda: server.workers("circle"))
            server.workers("circle")[0].kill()
            clients.wait(20)


def test_all_workers_are_killed_and_every_attempt_until_one_is_back_is_told_so(server):
    with under_load(server, *UNAVAILABLE, *LATE) as clients:
        for worker in server.workers("circle"):
            worker.kill()
        clients.wait(100)


def test_a_worker_that_hangs_costs_the_batch_that_it_has_its_deadline(server):
    with under_load(server, *LATE) as clients:
        first, _ = both_workers(server)
        first.suspend()
        try:
            clients.wait(CLIENTS)
            time_over = time.monotonic() + ANSWER_S + 2
            wait_for(lambda: time.monotonic() > time_over or clients.attempts["504 deadline_exceeded"] > 0)
        finally:
            first.resume()
        clients.wait(100)
    assert clients.attempts["504 deadline_exceeded"] <= CLIENTS


# Features -----------------------------------------------------------------


def test_the_feature_server_is_killed_and_other_models_do_not_notice(server):
    starts = server.starts("features")
    baskets = itertools.count(20)

    def row() -> bytes:
        return json.dumps({"instances": [{"customer_id": 7, "basket": next(baskets) / 100}]}).encode()

    with under_load(server), asking(server.port, "/predictions/churn", 2, row) as churn:
        server.leader("features").kill()
        wait_for(lambda: server.starts("features") == starts + 1)
    assert churn.given_up == 0
    typed = {"answered", "degraded: features"}
    assert all(outcome in typed or outcome.startswith("503 ") for outcome in churn.attempts), churn.attempts


# Releases -----------------------------------------------------------------


def test_a_rollback_needs_nothing_of_another_model_whose_workers_stand_still(server):
    release = server.release
    with under_load(server, *UNAVAILABLE) as clients:
        release.canary("circle", Canary("2.0.0", 50))
        clients.wait(50)
        others = server.workers("segment")
        for worker in others:
            worker.suspend()
        try:
            canary = server.workers("circle", "2.0.0")
            for worker in canary:
                worker.kill()
            release.rollback("circle")
        finally:
            for worker in others:
                worker.resume()
        seen = Counter(clients.attempts)
        clients.wait(100)
    assert clients.attempts["answered"] > seen["answered"]
    assert release.role_store.roles.models["circle"].canary is None


# The disk -----------------------------------------------------------------


def test_a_full_disk_costs_logs_and_no_request_though_nginx_is_killed(server):
    disk = server.settings.state.parent
    if not disk.is_mount():
        pytest.skip("mounting a file system needs root")
    first, supervisor = server.leader("gateway"), psutil.Process(server.process.pid)
    with under_load(server) as clients, filled(disk):
        clients.wait(300)
        first.kill()
        # The supervisor's log has no room to say so.
        wait_for(lambda: any(child.name() == "nginx" and child != first for child in supervisor.children()))
        wait_for(server.is_ready)
        clients.wait(300)
    wait_for(lambda: server.process.poll() is None and server.is_ready())


# The end ------------------------------------------------------------------


def test_the_supervisor_is_killed_nothing_stays_and_the_next_start_takes_over_and_ends_without_a_request_lost(
    archives, tmp_path
):
    settings = settings_in(tmp_path, archives, TABLES)
    with serving(settings, tmp_path, "--warm-up", "0") as first:
        processes = first.processes()
        first.process.kill()
        _, left = psutil.wait_procs(processes, 20)
        assert not left
        assert not listening(first.port)
    with serving(settings, tmp_path, "--warm-up", "0") as second:
        rows = iter(fresh_row, b"")
        pauses = (0.0,) * 6 + (0.05,) * 3 + (0.4,) * 3
        clients = [KeepAlive(second.port, PATH, rows, pause_s) for pause_s in pauses]
        with running(clients):
            wait_for(lambda: total(clients)["answered"] > 200)
            second.process.send_signal(signal.SIGTERM)
            assert second.process.wait(60) == 0
        outcomes = total(clients)
        assert set(outcomes) <= {"answered", "said so", "closed while idle", "refused"}, outcomes
        assert outcomes["refused"] == len(clients)
        assert {status for client in clients for status in client.statuses} == {200}
