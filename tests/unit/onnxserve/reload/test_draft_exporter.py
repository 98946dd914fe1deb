"""A draft is exported in a process of its own, whose errors are told in their own words."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from onnxserve.archive import read_version
from onnxserve.errors import OnnxserveError, StepFailed
from onnxserve.reload import DraftExporter, draft_exporter
from tests.helpers.waiting import wait_for


@pytest.fixture
def model(definition: Path, tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return Path(shutil.copytree(definition, tmp_path / "circle"))


@pytest.fixture
def exporter(model: Path) -> DraftExporter:
    return DraftExporter(model.parent / "store")


def program(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Let another program take the place of the export."""
    (folder / "stand_in.py").write_text(text)
    monkeypatch.setattr(draft_exporter, "PROGRAM", folder / "stand_in.py")


def test_a_mistake_is_told_as_the_export_tells_it_and_the_next_draft_has_another_number(exporter, model):
    source = (model / "model.py").read_text()
    (model / "model.py").write_text("def load(:\n")
    with pytest.raises(OnnxserveError, match="invalid syntax") as failure:
        exporter.export(model)
    assert f"where: {model / 'model.py'}:1" in str(failure.value)
    assert "Traceback" not in str(failure.value)
    (model / "model.py").write_text(source)
    archive = exporter.export(model)
    assert read_version(archive) == ("circle", "1.0.0.2")
    assert archive.parent == exporter.store


def test_a_definition_that_cannot_be_read_needs_no_process(exporter, model, monkeypatch):
    monkeypatch.setattr(exporter, "_run", pytest.fail)
    (model / "model.toml").write_text("name = ")
    with pytest.raises(OnnxserveError, match="not valid TOML"):
        exporter.export(model)


def test_a_crash_names_the_log(exporter, model, monkeypatch, tmp_path):
    program(monkeypatch, tmp_path, "import os; print('so far', flush=True); os.abort()")
    with pytest.raises(StepFailed, match="the export ended with status -6") as failure:
        exporter.export(model)
    assert "so far" in Path(failure.value.where).read_text()


def test_an_export_under_way_ends_with_the_server_and_no_other_begins(exporter, model, monkeypatch, tmp_path):
    touch = f"import pathlib; pathlib.Path({str(tmp_path / 'up')!r}).touch()"
    program(monkeypatch, tmp_path, f"{touch}; import time; time.sleep(600)")
    errors: list[str] = []

    def export() -> None:
        try:
            exporter.export(model)
        except StepFailed as error:
            errors.append(error.what)

    thread = threading.Thread(target=export)
    thread.start()
    wait_for((tmp_path / "up").exists, 60)
    exporter.stop()
    thread.join(30)
    assert errors == ["the export ended with status -15"]
    with pytest.raises(StepFailed, match="the server is stopping"):
        exporter.export(model)
