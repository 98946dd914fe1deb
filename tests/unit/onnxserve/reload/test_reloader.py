"""An edit gets the traffic; one that can't be exported or loaded is reported and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onnxserve.archive import CheckResult, Stores, file_digest, read_version, write_archive
from onnxserve.errors import ServerError, StepFailed
from onnxserve.gateway import RoleStore
from onnxserve.release import History, ReleaseService
from onnxserve.reload import DraftExporter, FolderWatcher, Reloader
from onnxserve.supervisor import Events
from onnxserve.torchserve import Management
from tests.helpers.fakes import FakeTorchServe
from tests.helpers.waiting import wait_for


class Exporter(DraftExporter):
    """Makes an archive without a graph, or raises what `failure` is."""

    failure: Exception | None = None
    number = 0

    def export(self, folder: Path) -> Path:
        if self.failure:
            raise self.failure
        self.number += 1
        path = self.store / f"demo-1.0.0.{self.number}.mar"
        manifest: dict[str, object] = {
            "model": {"modelName": "demo", "modelVersion": f"1.0.0.{self.number}", "handler": "h.py"}
        }
        write_archive(path, {"h.py": folder.name.encode()}, manifest)
        return path


class PromptRelease(ReleaseService):
    """Doesn't wait for a batch under way, since a fake has none."""

    def retire(
        self, model: str, version: str, grace_s: float = 0.0, *, last: bool = False, plan: bool = False
    ) -> list[str]:
        return super().retire(model, version, grace_s, last=last, plan=plan)


class World:
    """A reloader of one folder before a fake TorchServe that serves demo 1.0.0."""

    def __init__(self, folder: Path) -> None:
        self.state, self.model, store = folder / "state", folder / "demo", folder / "store"
        for path in (self.state, self.model, store):
            path.mkdir()
        self.server = FakeTorchServe(["1.0.0"])
        management = Management("http://fake", transport=self.server.transport())
        stores = Stores(store, self.state / "store")
        stores.server.mkdir()
        self.release = PromptRelease(management, History(self.state), stores, RoleStore(self.state))
        self.exporter, events = Exporter(store), Events(self.state / "supervisor.log")
        self.reloader = Reloader(FolderWatcher([self.model]), self.exporter, self.release, events, poll_s=0.01)

    def events(self) -> list[tuple[str, str]]:
        log = self.state / "supervisor.log"
        lines = log.read_text().splitlines() if log.is_file() else []
        return [(event["event"], event["detail"]) for event in map(json.loads, lines)]

    def edit(self, text: str, happened: Callable[[], object]) -> None:
        (self.model / "model.py").write_text(text)
        wait_for(happened, 20)

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.events())

    @property
    def stable(self) -> str:
        model = self.release.role_store.roles.models.get("demo")
        return model.stable if model else ""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("onnxserve.release.registration.check_copy", unchecked)  # without a graph nothing is proven
    world = World(tmp_path)
    world.reloader.start()
    yield world
    world.reloader.stop()


def unchecked(copy: Path, archive: Path) -> CheckResult:
    return CheckResult(*read_version(archive), file_digest(copy), members=1, golden_rows=0, signed=False)


def test_an_edit_becomes_the_stable_version_and_the_only_one(world):
    world.edit("one", lambda: world.count("serving") == 1 and world.server.versions == ["1.0.0.1"])
    world.edit("two", lambda: world.count("serving") == 2 and world.server.versions == ["1.0.0.2"])
    assert (world.stable, world.server.default) == ("1.0.0.2", "1.0.0.2")
    assert world.release.role_store.roles.models["demo"].fallback == ""
    assert [version.archive for version in world.release.status("demo")] == ["demo-1.0.0.2.mar"]
    wait_for(lambda: [path.name for path in world.exporter.store.iterdir()] == ["demo-1.0.0.2.mar"])


def test_an_export_that_fails_is_reported_and_leaves_what_serves(world):
    world.edit("one", lambda: world.server.versions == ["1.0.0.1"])
    world.exporter.failure = StepFailed("'(' was never closed", where="model.py:3", fix="close it")
    world.edit("two", lambda: world.count("failed") == 1)
    [failed] = [detail for event, detail in world.events() if event == "failed"]
    assert failed.splitlines() == [
        f"{world.model}; what is served stays as it is",
        "'(' was never closed",
        "  where: model.py:3",
        "  fix:   close it",
    ]
    assert (world.stable, world.server.versions) == ("1.0.0.1", ["1.0.0.1"])
    world.exporter.failure = None
    world.edit("three", lambda: world.stable == "1.0.0.2")


def test_a_draft_that_cannot_be_loaded_is_reported_and_leaves_what_serves(world, monkeypatch):
    def refuse(*_: object) -> None:
        raise ServerError("demo 1.0.0.1 can't be loaded")

    with monkeypatch.context() as broken:
        broken.setattr(world.release, "_load", refuse)
        world.edit("one", lambda: world.count("failed") == 1)
    assert world.server.versions == ["1.0.0"]
    assert list(world.exporter.store.glob("demo-1.0.0.1*")) == []


def test_an_error_that_nobody_foresaw_ends_nothing(world):
    world.exporter.failure = ValueError("odd")
    world.edit("one", lambda: world.count("failed") == 1)
    assert "ValueError: odd" in dict(world.events())["failed"]
    world.exporter.failure = None
    world.edit("two", lambda: world.stable == "1.0.0.1")


def test_other_versions_that_cannot_be_unloaded_are_reported_and_the_next_edit_is_served(world, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(world.release, "retire", refuse)
        world.edit("one", lambda: world.count("failed") == 1)
    assert "1.0.0 stays loaded" in dict(world.events())["failed"]
    assert world.stable == "1.0.0.1"
    world.edit("two", lambda: world.server.versions == ["1.0.0.2"])


def test_roles_that_cannot_be_read_after_an_edit_are_reported_and_the_next_edit_is_served(world, monkeypatch):
    def unreadable(_: RoleStore) -> None:
        raise OSError(5, "Input/output error")

    def promote(*_: object, **__: object) -> None:
        broken.setattr(RoleStore, "roles", property(unreadable))

    with monkeypatch.context() as broken:
        broken.setattr(world.release, "promote", promote)
        world.edit("one", lambda: world.count("failed") == 1)
    assert "its other versions stay loaded" in dict(world.events())["failed"]
    world.edit("two", lambda: world.server.versions == ["1.0.0.2"])
