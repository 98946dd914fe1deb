"""Edits are reported once, when they are over; what an export writes itself is no edit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxserve.reload import FolderWatcher, watcher


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.py").write_text("one")
    return tmp_path / "model"


def test_an_edit_is_reported_once_and_only_when_the_file_has_stopped_changing(folder):
    watcher = FolderWatcher([folder])
    assert watcher.changed() == []
    (folder / "model.py").write_text("half of")
    assert watcher.changed() == []
    (folder / "model.py").write_text("half of it")
    assert watcher.changed() == []
    assert watcher.changed() == [folder]
    assert watcher.changed() == []


@pytest.mark.parametrize("name", ["new.py", "data/rows.csv"])
def test_new_and_removed_files_are_edits(folder, name):
    watcher = FolderWatcher([folder])
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]
    (folder / name).unlink()
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]


def test_a_file_that_is_written_again_with_the_same_content_is_no_edit(folder):
    watcher = FolderWatcher([folder])
    os.utime(folder / "model.py", ns=(1, 1))
    assert [watcher.changed() for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize("name", ["__pycache__/model.pyc", ".model.py.swp", "model.py~", ".git/index"])
def test_files_of_editors_and_bytecode_are_no_edits(folder, name):
    watcher = FolderWatcher([folder])
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert [watcher.changed() for _ in range(3)] == [[], [], []]


def test_an_edit_during_the_work_on_another_is_reported_after_it(folder):
    watcher = FolderWatcher([folder])
    (folder / "model.py").write_text("two")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]
    (folder / "model.py").write_text("three, while two is exported")
    assert [watcher.changed(), watcher.changed(), watcher.changed()] == [[], [folder], []]


def test_an_outdated_folder_is_reported_at_first_and_a_folder_is_reported_by_itself(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.py").write_text("x")
    watcher = FolderWatcher([folder, tmp_path / "other"], [folder])
    assert watcher.changed() == [folder]
    (tmp_path / "other" / "model.py").write_text("y, edited")
    assert [watcher.changed(), watcher.changed()] == [[], [tmp_path / "other"]]


def test_a_folder_that_disappears_is_reported_once(folder):
    watcher = FolderWatcher([folder])
    folder.rename(folder.with_name("elsewhere"))
    assert [watcher.changed() for _ in range(3)] == [[], [folder], []]


def test_a_folder_that_disappears_while_it_is_read_is_read_again_and_hides_no_other(folder, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    folders = FolderWatcher([folder, other])
    (folder / "model.py").write_text("edited")
    (other / "model.py").write_text("new")
    real = watcher.watched_paths

    def vanishing(watched: Path) -> Iterator[Path]:
        if watched == folder:
            raise FileNotFoundError(2, "No such file or directory", str(watched / "data"))
        return real(watched)

    with monkeypatch.context() as broken:
        broken.setattr(watcher, "watched_paths", vanishing)
        assert [folders.changed(), folders.changed()] == [[], [other]]
    assert [folders.changed(), folders.changed()] == [[], [folder]]
