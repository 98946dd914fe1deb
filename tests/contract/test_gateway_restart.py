"""nginx is started again whatever the machine has done to its files."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onnxserve.gateway import Roles, RoleStore
from onnxserve.gateway.config import Cache, Guard
from onnxserve.gateway.nginx_process import RunningGateway, start, workers
from tests.helpers.disk import filled, small_disk
from tests.helpers.gateway import STABLE, Client, client_of, config, gateway_of, opened
from tests.helpers.waiting import wait_for

ROLES = Roles({"demo": STABLE})


@contextmanager
def again(client: Client, roles: Roles) -> Iterator[RunningGateway]:
    """Killed and started."""
    os.killpg(client.running.process.pid, signal.SIGKILL)
    client.running.process.wait(10)
    running = start(client.gateway, roles, client.running.hand_over())
    try:
        yield running
    finally:
        running.stop()


def test_a_full_disk_stops_no_start_after_a_lost_worker_and_a_step(tmp_path, upstream):
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = RoleStore(disk)
        roles = store.move(lambda _: ROLES)
        with client_of(gateway_of(config(), disk, upstream.port), roles) as client:
            store.record_start(client.gateway)
            assert not client.running.recount()
            [first] = workers(client.running.process.pid)
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: workers(client.running.process.pid) - {first})
            assert client.running.recount()
            roles = store.move(lambda _: ROLES)
            with filled(disk), again(client, roles):
                store.record_start(client.gateway)
                assert client.post().status_code == 200
                assert store.reconcile() == []


def test_a_gateway_that_ended_leaves_the_configuration_to_the_next_start(tmp_path, upstream):
    with client_of(gateway_of(config(), tmp_path, upstream.port), ROLES) as client:
        assert not client.running.recount()
        before = (client.gateway.run / "nginx.conf").read_bytes()
        with again(client, ROLES):
            assert not client.running.recount(), "its workers are gone, but so is what they counted"
            assert (client.gateway.run / "nginx.conf").read_bytes() == before
            assert client.post().status_code == 200


def test_a_full_disk_costs_kept_answers_and_never_a_request(tmp_path, upstream):
    with small_disk(tmp_path / "disk", "16m") as disk:
        gateway = gateway_of(config(cache=Cache(seconds=60)), disk, upstream.port)
        with client_of(gateway, ROLES) as client:
            assert not client.running.spare_disk()
            assert [client.post(body=b"[1]").headers["x-onnxserve-cache"] for _ in range(2)] == ["miss", "hit"]
            with filled(disk):
                assert client.running.spare_disk()
                for number in range(20):
                    assert client.post(body=b"[2, %d]" % number).status_code == 200
                assert client.post(body=b"[1]").headers["x-onnxserve-cache"] == "hit"
                assert client.http.get("/v2/models/demo").status_code == 200
                with again(client, ROLES) as running:
                    assert running.disk_full
                    assert client.post(body=b"[3]").status_code == 200
            assert running.disk_full


@opened(guard=Guard(per_day=3))
@pytest.mark.parametrize("content", [b"", b"garb{", b"[]", b'{"a":{"value":"many"}}'])
def test_a_damaged_record_of_budgets_stops_no_start(client, content):
    (client.gateway.run / "budgets.json").write_bytes(content)
    with again(client, ROLES):
        assert client.post().status_code == 200


@opened(guard=Guard(per_day=3))
def test_a_restart_gives_nobody_a_new_day(client):
    assert client.post().status_code == 200
    budgets = client.gateway.run / "budgets.json"
    wait_for(lambda: budgets.is_file() and b"127.0.0.1" in budgets.read_bytes())
    with again(client, ROLES):
        assert [client.post().status_code for _ in range(3)] == [200, 200, 429]
