"""Which folders are watched, and which of them are exported at the start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxserve.errors import DefinitionError
from onnxserve.reload import model_folders, outdated_folders
from onnxserve.scaffold import new_model


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("circle", "square"):
        new_model("table", name, Path("models"))
    (tmp_path / "models" / "notes").mkdir()
    return Path("models")


def test_all_models_are_watched_unless_some_are_named(models):
    assert model_folders(()) == (models / "circle", models / "square")
    assert model_folders([models / "square"]) == (models / "square",)


def test_a_folder_without_a_definition_is_refused_by_name(models, monkeypatch, tmp_path):
    with pytest.raises(DefinitionError, match="describes no model") as refusal:
        model_folders([models / "notes"])
    assert "notes" in refusal.value.where
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(DefinitionError, match="no model folder to watch"):
        model_folders(())


def test_a_folder_is_outdated_without_an_archive_or_with_a_younger_file(models, tmp_path):
    folders, store = model_folders(()), tmp_path / "store"
    store.mkdir()
    assert outdated_folders(folders, store) == list(folders)
    for folder in folders:
        (store / f"{folder.name}-1.0.0.mar").touch()
        for path in folder.iterdir():
            os.utime(path, ns=(10**9, 10**9))
    assert outdated_folders(folders, store) == []
    (models / "circle" / "model.py").touch()
    os.utime(store / "circle-1.0.0.mar", ns=(2 * 10**9, 2 * 10**9))
    assert outdated_folders(folders, store) == [models / "circle"]
    (models / "square" / "model.toml").write_text("name = ")
    assert outdated_folders(folders, store) == list(folders)
