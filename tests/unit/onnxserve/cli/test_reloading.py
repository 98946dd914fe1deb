"""Development beside a server: its first drafts, which a signal ends, and the roles that it leaves as they were."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path

import pytest

from onnxserve.cli.reloading import Development, begin_development, export_first
from onnxserve.errors import StepFailed
from onnxserve.gateway import Model, Roles, RoleStore
from onnxserve.reload import DraftExporter
from onnxserve.supervisor import Events, Stopped, StopSignals
from onnxserve.torchserve import Settings


class Exporter(DraftExporter):
    """An export of `slow` ends only when it is stopped."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.ended = threading.Event()

    def export(self, folder: Path) -> Path:
        self.folders.append(folder.name)
        if folder.name == "slow":
            assert self.ended.wait(60)
            raise StepFailed("the export ended with status -15")
        return folder

    def stop(self) -> None:
        self.ended.set()


class Signals(StopSignals):
    """A signal comes while `slow` is exported."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def wait(self, seconds: float) -> bool:
        return "slow" in self._exporter.folders


def test_a_signal_ends_the_first_exports():
    exporter = Exporter()
    with pytest.raises(Stopped):
        export_first(exporter, [Path("quick"), Path("slow"), Path("never")], Signals(exporter))
    assert exporter.folders == ["quick", "slow"]


def test_a_folder_that_cannot_be_exported_ends_the_start():
    exporter = Exporter()
    exporter.stop()
    with pytest.raises(StepFailed, match="status -15"):
        export_first(exporter, [Path("slow"), Path("never")], StopSignals())
    assert exporter.folders == ["slow"]


def test_the_roles_of_the_users_versions_come_back_when_the_server_ends(archive, tmp_path):
    settings = Settings(tmp_path / "config.properties", tmp_path / "store", tmp_path / "state")
    settings.store.mkdir()
    shutil.copy(archive, settings.store)
    production = Roles({"circle": Model({"1.0.0": "a", "2.0.0": "b"}, "2.0.0", "1.0.0")})
    RoleStore(settings.state).move(lambda _: production)
    with contextlib.ExitStack() as running:
        events = Events(settings.state / "events")
        begin_development(settings, Development((), trust=False), events, running, StopSignals())
        RoleStore(settings.state).move(lambda _: Roles({"circle": Model({"1.0.0.1": "c"}, "1.0.0.1")}))
    assert RoleStore(settings.state).roles.models == production.models
