"""A version whose workers can't load it any more: its clients are told so at once, and others notice nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from onnxserve.archive.revoke import revoke
from tests.helpers import plain_http
from tests.helpers.plugin import needs_plugin
from tests.helpers.retrying import fresh_row
from tests.helpers.serving import Serving, serving, settings_in
from tests.helpers.waiting import wait_for

pytestmark = needs_plugin
ANSWER_S = 60
JSON = {"content-type": "application/json"}
TABLES = f"[deadline]\nanswer_s = {ANSWER_S}\n"


@pytest.fixture(scope="module")
def revoked(tmp_path_factory) -> Path:
    """The list of what is revoked; nothing yet."""
    path: Path = tmp_path_factory.mktemp("revoked") / "revoked"
    path.touch()
    return path


@pytest.fixture(scope="module")
def server(archive, next_archive, revoked, tmp_path_factory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("outage")
    settings = settings_in(folder, [archive, next_archive], TABLES)
    with serving(settings, folder, "--warm-up", "0", ONNXSERVE_REVOKED=str(revoked)) as server:
        wait_for(lambda: ask(server, "2.0.0").is_success)
        yield server


def ask(server: Serving, version: str) -> httpx.Response:
    url = f"{server.url}/predictions/circle/{version}"
    return plain_http.post(url, content=fresh_row(), headers=JSON, timeout=2 * ANSWER_S)


def kill(server: Serving, version: str) -> None:
    [worker] = server.workers("circle", version)
    os.kill(worker.pid, signal.SIGKILL)


def test_a_version_that_no_worker_can_load_is_503_long_before_the_deadline_and_serves_again(server, archive, revoked):
    revoke(archive, revoked, "it had to go")
    kill(server, "1.0.0")
    began = time.monotonic()
    waited = ask(server, "1.0.0")
    took_s = time.monotonic() - began
    later = ask(server, "1.0.0")
    assert time.monotonic() - began < ANSWER_S / 2, took_s
    for answer in (waited, later):
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    assert ask(server, "2.0.0").status_code == 200
    revoked.write_text("")
    wait_for(lambda: ask(server, "1.0.0").is_success)


def test_a_worker_that_is_killed_and_can_start_again_costs_nobody_an_answer(server):
    assert ask(server, "2.0.0").status_code == 200
    kill(server, "2.0.0")
    assert [ask(server, "2.0.0").status_code for _ in range(3)] == [200, 200, 200]
