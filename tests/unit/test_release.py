"""Release steps refuse what would lose requests, and remember what they did."""

import pytest

from onnxserve.errors import OnnxserveError, ReleaseError
from onnxserve.management import Management
from onnxserve.release import History, Release
from tests.fakes import FakeTorchServe


def release(tmp_path, server: FakeTorchServe) -> Release:
    return Release(Management("http://fake", transport=server.transport()), History(tmp_path), tmp_path / "store")


def test_default_and_rollback_move_between_versions_and_are_recorded(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    assert steps.default("demo", "2.0") == "1.0"
    assert server.default == "2.0"
    assert steps.rollback("demo") == "1.0"
    assert server.default == "1.0"
    assert [(event.action, event.version) for event in steps.history.events("demo")] == [
        ("default", "2.0"),
        ("rollback", "1.0"),
    ]


def test_a_version_that_is_not_ready_is_never_made_default(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"], ready=False)
    with pytest.raises(ReleaseError, match="not ready"):
        release(tmp_path, server).default("demo", "2.0")
    assert server.default == "1.0"


def test_rollback_without_history_asks_for_a_version(tmp_path):
    with pytest.raises(ReleaseError, match="no earlier default"):
        release(tmp_path, FakeTorchServe(["1.0", "2.0"])).rollback("demo")


def test_the_default_is_never_retired_and_another_is(tmp_path):
    server = FakeTorchServe(["1.0", "2.0"])
    steps = release(tmp_path, server)
    with pytest.raises(ReleaseError, match="is the default"):
        steps.retire("demo", "1.0")
    steps.retire("demo", "2.0", grace_s=0)
    assert server.versions == ["1.0"]


def test_a_version_with_pending_requests_is_not_removed(tmp_path, monkeypatch):
    server = FakeTorchServe(["1.0", "2.0"])
    server.pending = 1
    monkeypatch.setattr("onnxserve.release.steps.DRAIN_S", 0.3)
    with pytest.raises(OnnxserveError, match="drained"):
        release(tmp_path, server).retire("demo", "2.0", grace_s=0)
    assert server.versions == ["1.0", "2.0"]


def test_a_restart_restores_the_recorded_default_else_the_newest(tmp_path):
    server = FakeTorchServe(["1.9", "1.10"])
    steps = release(tmp_path, server)
    assert steps.restore() == [("demo", "1.10")]
    steps.default("demo", "1.9")
    server.default = "1.10"
    assert steps.restore() == [("demo", "1.9")]


def test_an_archive_of_the_store_is_never_replaced_by_another(tmp_path, archive, next_archive):
    steps = release(tmp_path, FakeTorchServe(["1.0"]))
    steps.store.mkdir()
    kept = steps.store / next_archive.name
    kept.write_bytes(archive.read_bytes())
    with pytest.raises(ReleaseError, match="the store has another"):
        steps.register(next_archive)
    assert kept.read_bytes() == archive.read_bytes()


def test_an_unknown_version_lists_those_that_are_there(tmp_path):
    with pytest.raises(ReleaseError, match=r"registered: 1.0, 2.0"):
        release(tmp_path, FakeTorchServe(["2.0", "1.0"])).default("demo", "3.0")


def test_a_server_that_is_not_there_is_said_plainly(tmp_path):
    steps = Release(Management("http://127.0.0.1:1"), History(tmp_path), tmp_path)
    with pytest.raises(OnnxserveError, match="no answer from the management API"):
        steps.status()
