"""Real Feast: joins as of a row's time, its server's answers, its stores in SQLite and in Redis."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.errors import FeatureError
from onnxserve.features import FeatureServer, Join, Repo, begin_features, load, open_repo, start_features
from onnxserve.processes import bound
from onnxserve.supervisor import Events, StopSignals, Supervisor
from onnxserve.supervisor.feature_server import Features as FeatureService
from onnxserve.torchserve import free_ports
from onnxserve_handlers.features.client import FeatureStore
from onnxserve_handlers.signature import Features
from tests.helpers import plain_http
from tests.helpers.feast_repo import DAY, MONDAY, feast, write_repo
from tests.helpers.upstream import Upstream, listening

SPEC = Features(service="drivers_v1", entities=("driver_id",), columns=("x", "trips"), timeout_ms=5000)
JOIN = Join("drivers_v1", ("driver_id",), ("x", "trips"))
NOW = MONDAY + 3 * DAY


@pytest.fixture(scope="module")
def redis(tmp_path_factory) -> Iterator[str]:
    """Debian's Redis on a free port."""
    binary = shutil.which("redis-server")
    assert binary, "apt-get install redis-server"
    [port] = free_ports(1)
    folder = tmp_path_factory.mktemp("redis")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(bound(command, signal.SIGTERM), stdout=subprocess.DEVNULL)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def loaded(folder: Path, where: dict[str, str]) -> Repo:
    repo = open_repo(write_repo(folder / "repo"), folder / "state", where)
    load(repo, NOW)
    return repo


@pytest.fixture(scope="module")
def in_sqlite(tmp_path_factory) -> Repo:
    """A loaded repository."""
    return loaded(tmp_path_factory.mktemp("sqlite"), {"x": ""})


@pytest.fixture(scope="module")
def in_redis(redis, tmp_path_factory) -> Repo:
    """Another one."""
    return loaded(tmp_path_factory.mktemp("loaded"), {"ONNXSERVE_REDIS": redis})


@pytest.fixture(scope="module", params=["in_sqlite", "in_redis"])
def repo_and_server(request) -> Iterator[tuple[Repo, FeatureServer]]:
    """A loaded repository and its server."""
    repo: Repo = request.getfixturevalue(request.param)
    server = start_features(repo, free_ports(1)[0])
    try:
        yield repo, server
    finally:
        server.stop()


def joined(repo: Repo, scratch: Path, times: list[tuple[int, datetime]]) -> list[dict[str, float | None]]:
    """By a process of its own: Feast brings warnings that our tests would take for errors."""
    rows = pa.table(
        {
            "driver_id": [key for key, _ in times],
            "event_timestamp": pa.array([at for _, at in times], pa.timestamp("us", "UTC")),
        }
    )
    what, source, target = (scratch / name for name in ("what.json", "rows.arrow", "joined.arrow"))
    what.write_bytes(msgspec.json.encode(msgspec.to_builtins(JOIN)))
    with pa.OSFile(str(source), "wb") as stream, pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_table(rows)
    command = [
        sys.executable,
        "-m",
        "onnxserve.features.join",
        *map(str, (repo.folder, repo.home.parents[1], what, source, target)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with pa.OSFile(str(target)) as stream:
        joined_rows: list[dict[str, float | None]] = pa.ipc.open_file(stream).read_all().to_pylist()
    return joined_rows


def test_the_real_server_answers_as_the_fake_and_handlers_read_it(repo_and_server):
    _, server = repo_and_server
    keys = [(1,), (2,), (4,)]
    with contextlib.closing(FeatureStore(SPEC, server.url)) as store:
        real = store.look_up(keys)
    assert real == {(1,): {"x": 9.0, "trips": 3.0}, (2,): {"x": 5.0, "trips": None}, (4,): {"x": None, "trips": None}}
    body = {"feature_service": "drivers_v1", "entities": {"driver_id": [1, 4]}}
    real_reply = plain_http.post(f"{server.url}/get-online-features", json=body).json()
    fake_reply = msgspec.json.decode(feast("", msgspec.json.encode(body))[1])
    assert real_reply["metadata"]["feature_names"][0] == fake_reply["metadata"]["feature_names"][0] == "driver_id"
    assert {len(feature["values"]) for feature in real_reply["results"]} == {2}
    assert [feature["statuses"][0] for feature in real_reply["results"]] == [
        feature["statuses"][0] for feature in fake_reply["results"]
    ]
    # Of an entity that isn't there SQLite says NOT_FOUND, Redis says that nothing is PRESENT.
    assert real_reply["results"][1]["values"][1] is fake_reply["results"][1]["values"][1] is None


def test_a_join_knows_what_was_known_then_and_nothing_later(in_sqlite, tmp_path):
    times = [
        (1, MONDAY + 3 * DAY),
        (1, MONDAY + DAY),
        (1, MONDAY - DAY),
        (2, MONDAY + DAY),
        (4, NOW),
        (2, MONDAY + 11 * DAY),
    ]
    rows = joined(in_sqlite, tmp_path, times)
    assert [row["x"] for row in rows] == [9.0, 0.0, None, 5.0, None, None]
    assert [row["trips"] for row in rows] == [3.0, 1.0, None, None, None, None]


def test_skew_is_found_and_a_load_mends_it(tmp_path):
    folder, state = write_repo(tmp_path / "repo"), tmp_path / "state"
    stamp = datetime.now(MONDAY.tzinfo) - timedelta(hours=3)
    write(folder, stamp, 5.0)
    repo = open_repo(folder, state)
    server = begin_features(repo, free_ports(1)[0], loaded=False)
    try:
        server.wait()
        with comparing(folder, state, server.url) as differences:
            assert differences() == []
            write(folder, stamp + timedelta(hours=1), 6.0)
            assert differences() == ["x of (1,): online 5.0, offline 6.0"]
            load(repo)
            deadline = time.monotonic() + 120
            while differences() and time.monotonic() < deadline:
                time.sleep(0.5)
            assert differences() == []
    finally:
        server.stop()


def write(folder: Path, stamp: datetime, value: float) -> None:
    rows = pa.table(
        {
            "driver_id": [1],
            "event_timestamp": pa.array([stamp], pa.timestamp("us", "UTC")),
            "x": [value],
            "trips": [1.0],
        }
    )
    pq.write_table(rows, folder / "drivers.parquet")


@contextlib.contextmanager
def comparing(folder: Path, state: Path, url: str) -> Iterator[Callable[[], list[str]]]:
    """Compare the stores, once a call, in a process of its own: importing Feast takes seconds, and it warns."""
    code = (
        "import json, sys, pathlib; from onnxserve.features import *\n"
        f"repo = open_repo(pathlib.Path({str(folder)!r}), pathlib.Path({str(state)!r}))\n"
        "for _ in sys.stdin:\n"
        f"    compared = skew(repo, {url!r}, Join('drivers_v1', ('driver_id',), ('x', 'trips')), [(1,)])\n"
        "    texts = [f'{pair.column} of {pair.entity}: online {pair.online}, offline {pair.offline}'"
        " for pair in compared.differences]\n"
        "    print(json.dumps(texts), flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        questions, answers = process.stdin, process.stdout

        def differences() -> list[str]:
            questions.write("\n")
            questions.flush()
            texts: list[str] = json.loads(answers.readline())
            return texts

        try:
            yield differences
        finally:
            process.kill()


def test_a_feature_server_that_died_is_started_again_on_the_store_as_it_is(tmp_path):
    repo = open_repo(write_repo(tmp_path / "repo"), tmp_path / "state")
    [port] = free_ports(1)
    events = Events(tmp_path / "supervisor.log")
    service = FeatureService(repo, tmp_path / "run", port, {"a": {"service": "drivers_v1", "entities": ["driver_id"]}})
    with StopSignals() as signals, Supervisor(tmp_path / "run", events, signals) as supervisor:
        watchdog = supervisor.begin(service.service())
        supervisor.wait(watchdog, 120)
        assert watchdog.running
        os.kill(watchdog.running.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 120
        while not (watchdog.restarts == 1 and watchdog.up()) and time.monotonic() < deadline:
            time.sleep(0.1)
        with contextlib.closing(FeatureStore(SPEC, service.url)) as store:
            assert store.look_up([(2,)]) == {(2,): {"x": 5.0, "trips": None}}
    log = (repo.home / "server.log").read_text()
    assert log.count("Materializing") == 1


def test_a_repository_that_feast_refuses_is_told_in_its_words(tmp_path):
    folder = write_repo(tmp_path / "repo")
    (folder / "definitions.py").write_text("import nowhere")
    with pytest.raises(FeatureError, match=r"loading the feature store failed.*nowhere"):
        load(open_repo(folder, tmp_path / "state"))
    with pytest.raises(FeatureError, match="no Feast repository"):
        open_repo(tmp_path, tmp_path / "state")


def test_a_server_that_can_not_start_says_why(tmp_path):
    repo = open_repo(write_repo(tmp_path / "repo"), tmp_path / "state")
    with listening(Upstream(lambda *_: (500, b"{}"))) as occupied, pytest.raises(FeatureError, match="is taken"):
        start_features(repo, occupied.port)
