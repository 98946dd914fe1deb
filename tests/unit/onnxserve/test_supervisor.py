"""The supervisor's parts without processes: back-off, events, logs, readiness."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from onnxserve.errors import ServerError
from onnxserve.supervisor import Backoff, Events, LogLimits, LogWriter, Rotation, WorkerRecovery
from onnxserve.supervisor.log_rotation import DAY_S, part, rotate
from onnxserve.supervisor.readiness import waiting_versions
from onnxserve.supervisor.store import stored_archives
from onnxserve.torchserve import Management, ModelVersion, Worker
from tests.helpers.fakes import FakeTorchServe


def test_the_delay_doubles_up_to_a_bound_and_begins_anew_after_a_calm_while():
    backoff = Backoff(first_s=0.5, most_s=3.0, calm_s=60.0)
    assert [backoff.delay(1.0) for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert backoff.delay(59.0) == 3.0
    assert backoff.delay(60.0) == 0.5
    for _ in range(100):
        assert backoff.delay(0.0) <= 3.0


def test_an_event_is_a_line_of_json_and_words(tmp_path):
    words: list[str] = []
    events = Events(tmp_path / "supervisor.log", words.append)
    events.record("torchserve", "ended (signal 9)", "starting again in 1 s")
    events.record("gateway", "stopped")
    lines = [json.loads(line) for line in (tmp_path / "supervisor.log").read_text().splitlines()]
    assert [(line["service"], line["event"], line["detail"]) for line in lines] == [
        ("torchserve", "ended (signal 9)", "starting again in 1 s"),
        ("gateway", "stopped", ""),
    ]
    assert lines[0]["time"].endswith("Z")
    assert words == ["torchserve ended (signal 9): starting again in 1 s", "gateway stopped"]


def test_a_full_disk_costs_lines_and_nothing_else():
    def say(_: str) -> None:
        raise OSError(28, "No space left on device")

    events = Events(Path("/dev/full"), say)
    with pytest.raises(OSError, match="No space"), Path("/dev/full").open("ab", buffering=0) as full:
        full.write(b"x")  # what the file does
    events.record("torchserve", "ended")  # and no error comes of it


def written(path: Path, size: int) -> None:
    with path.open("ab") as log:
        log.write(b"x" * size)


def test_a_log_that_is_too_large_is_moved_and_its_writer_told_once(tmp_path):
    access, errors = tmp_path / "access.log", tmp_path / "nginx.log"
    reopened: list[list[str]] = []
    writer = LogWriter((access, errors), lambda: reopened.append(sorted(path.name for path in tmp_path.iterdir())))
    rotation = Rotation(lambda: [writer], LogLimits(size=100, files=2))
    written(access, 101)
    written(errors, 101)
    rotation.tick()
    assert reopened == [["access.log.1", "nginx.log.1"]]
    rotation.tick()
    assert len(reopened) == 1
    for number in range(2, 5):
        written(access, 100 + number)
        rotation.tick()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["access.log.1", "access.log.2", "nginx.log.1"]
    assert [part(access, number).stat().st_size for number in (1, 2)] == [104, 103]  # the oldest are gone


def test_a_log_that_stays_open_is_copied_and_cut_and_its_writer_goes_on(tmp_path):
    log = tmp_path / "torchserve.log"
    rotation = Rotation(lambda: [LogWriter((log,))], LogLimits(size=100, files=2))
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, b"a" * 101)
        rotation.tick()
        os.write(descriptor, b"b")
    finally:
        os.close(descriptor)
    assert log.read_bytes() == b"b"
    assert part(log, 1).read_bytes() == b"a" * 101


def test_what_is_old_is_rotated_and_what_is_too_old_is_removed(tmp_path, monkeypatch):
    log = tmp_path / "supervisor.log"
    written(log, 10)
    limits = LogLimits(size=1000, files=4, days=5.0)
    rotation = Rotation(lambda: [LogWriter((log,), lambda: None)], limits)
    now = 1_000_000_000.0
    monkeypatch.setattr("onnxserve.supervisor.log_rotation.time.time", lambda: now)
    rotation.tick()
    assert log.exists()
    now += DAY_S + 1
    rotation.tick()
    assert not log.exists()
    os.utime(part(log, 1), (now, now))
    now += 4 * DAY_S
    rotation.tick()
    assert part(log, 1).exists()
    now += 1.1 * DAY_S
    rotation.tick()
    assert list(tmp_path.iterdir()) == []


def test_parts_beyond_lowered_limits_are_removed_and_other_files_are_not(tmp_path):
    log = tmp_path / "access.log"
    for name in ("access.log.1", "access.log.2", "access.log.3", "access.log.gz", "access.log.1.note"):
        written(tmp_path / name, 1)
    Rotation(lambda: [LogWriter((log,))], LogLimits(files=2)).tick()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "access.log.1",
        "access.log.1.note",
        "access.log.2",
        "access.log.gz",
    ]


def test_on_a_full_disk_the_log_is_cut_at_the_cost_of_its_old_parts(tmp_path, monkeypatch):
    log = tmp_path / "torchserve.log"
    written(log, 10)
    written(part(log, 1), 10)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onnxserve.supervisor.log_rotation.shutil.copy2", full)
    rotate(log, 2, move=False)
    assert log.stat().st_size == 0
    assert list(tmp_path.iterdir()) == [log]


def version(*states: str, count: int = 2) -> ModelVersion:
    workers = tuple(Worker(str(number), state) for number, state in enumerate(states))
    return ModelVersion("demo", "1.0", "demo.mar", count, count, 1, 1, workers)


def test_a_version_is_ready_with_one_proven_worker_and_complete_with_all():
    assert not version().ready
    assert not version("UNLOADING", "UNLOADING").ready
    assert version("READY", "UNLOADING").ready
    assert not version("READY", "UNLOADING").complete
    assert not version("READY").complete
    assert version("READY", "READY").complete


def test_only_versions_with_traffic_are_waited_for():
    server = FakeTorchServe(["1.0.0", "2.0.0"])
    management = Management("http://fake", transport=server.transport())
    [model] = management.models()
    versions = {version.model_version: version for version in management.versions(model)}
    assert all(version.ready for version in versions.values())
    assert waiting_versions(management, {(model, "1.0.0")}) == {}
    assert waiting_versions(management, ()) == {}
    assert waiting_versions(management, {(model, "3.0.0"), ("nobody", "1")}) == {
        (model, "3.0.0"): None,
        ("nobody", "1"): None,
    }


def test_a_stores_archives_are_read_by_their_manifests_and_a_damaged_one_has_no_version(archive, tmp_path):
    (tmp_path / archive.name).write_bytes(archive.read_bytes())
    (tmp_path / "damaged.mar").write_bytes(b"PK")
    archives = [(archive.path.name, archive.version, archive.ours) for archive in stored_archives(tmp_path)]
    assert archives == [(archive.name, ("circle", "1.0.0"), True), ("damaged.mar", None, False)]


def test_a_server_that_does_not_listen_yet_is_no_refusal():
    with pytest.raises(ServerError, match="no answer from the management API"):
        waiting_versions(Management("unix:/nowhere/management.sock"), ())


class DeadWorkers(FakeTorchServe):
    """One version whose workers can be scaled; none of them is ever ready."""

    def __init__(self) -> None:
        super().__init__(["1.0.0"], unready=["1.0.0"])
        self.scaled: list[str] = []

    def _answer(self, request):
        if request.method == "PUT":
            self.scaled.append(request.url.params["min_worker"])
            return httpx.Response(202, json={"status": "Processing worker updates..."})
        return super()._answer(request)

    def _describe(self, version):
        workers = [] if self.scaled[-1:] == ["0"] else [{"id": "9000", "status": "UNLOADING", "pid": 1}]
        return {**super()._describe(version), "minWorkers": 2, "workers": workers}


@pytest.mark.parametrize("served_versions", [{("demo", "1.0.0")}, set()], ids=["with traffic", "without"])
def test_workers_that_torchserve_gave_up_are_replaced_ever_more_rarely(tmp_path, served_versions):
    server, now, living = DeadWorkers(), [0.0], [True]
    management = Management("http://fake", transport=server.transport())
    events = Events(tmp_path / "supervisor.log")
    recovery = WorkerRecovery(management, lambda: served_versions, events, lambda: now[0], lambda _: living[0])
    for _ in range(3):  # TorchServe starts them again itself
        recovery.tick()
        now[0] += 100
    assert server.scaled == []
    living[0] = False
    recovery.tick()
    now[0] += 59
    recovery.tick()
    assert server.scaled == []
    now[0] += 2
    recovery.tick()
    assert server.scaled == ["0"]
    recovery.tick()
    assert server.scaled == ["0", "2"]
    recovery.tick()
    now[0] += 100
    recovery.tick()
    assert server.scaled == ["0", "2"]
    now[0] += 30
    recovery.tick()
    assert server.scaled == ["0", "2", "0"]
    assert "the workers of demo 1.0.0" in events.path.read_text()


def test_without_an_answer_no_worker_is_replaced(tmp_path):
    management = Management("unix:/nowhere/management.sock")
    WorkerRecovery(management, lambda: {("demo", "1.0.0")}, Events(tmp_path / "log")).tick()
    assert not (tmp_path / "log").exists()
