"""Which files elsewhere belong to a model, by its model.toml."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxserve.reload import FolderWatcher, outdated_folders
from onnxserve.reload.named_files import outside_paths
from onnxserve.scaffold import new_model

DEFINITION = """
name = "demo"
version = "1.0.0"
source = "{source}"
{rows}

[[sources]]
name = "weights"
location = "../shared/weights"

[[sources]]
name = "remote"
location = "hf://org/model@abc"

[features]
repo = "../store"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model beside the files that it names."""
    for path in ("model/model.py", "shared/net.onnx", "shared/weights/a.bin", "rows/1.csv", "rows/2.csv", "rows/notes"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("before")
    define(tmp_path / "model")
    return tmp_path / "model"


def define(folder: Path, source: str = "../shared/net.onnx", rows: str = 'rows = "../rows/*.csv"') -> None:
    (folder / "model.toml").write_text(DEFINITION.format(source=source, rows=rows))


def outside(folder: Path) -> set[str]:
    return {path.relative_to(folder.parent).as_posix() for path in outside_paths(folder)}


def test_paths_and_globs_are_named_by_many_fields_and_urls_are_not(folder):
    assert outside(folder) == {"shared/net.onnx", "rows/1.csv", "rows/2.csv", "shared/weights", "store"}
    define(folder, "model.py:load", '[rows]\nlocation = "../rows/1.csv"')
    assert outside(folder) == {"rows/1.csv", "shared/weights", "store"}
    define(folder, f"file://{folder.parent}/shared/net.onnx", 'rows = "predictions:demo/1.0.0"')
    assert outside(folder) == {"shared/net.onnx", "shared/weights", "store"}


@pytest.mark.parametrize(
    "text", ["name = ", "source = 5\nrows = 6\nsources = 7\nfeatures = 8", "sources = [1]", "\udcff"]
)
def test_a_definition_that_names_nothing_has_no_files_elsewhere(folder, text):
    (folder / "model.toml").write_bytes(text.encode(errors="surrogateescape"))
    assert outside(folder) == set()


@pytest.mark.parametrize(
    "name", ["shared/net.onnx", "shared/weights/a.bin", "shared/weights/deep/new.bin", "rows/3.csv"]
)
def test_an_edit_elsewhere_is_reported_as_one_of_the_model(folder, name):
    watcher = FolderWatcher([folder])
    path = folder.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("edited")
    assert [watcher.changed(), watcher.changed(), watcher.changed()] == [[], [folder], []]


def test_files_that_no_field_names_are_not_watched(folder):
    watcher = FolderWatcher([folder])
    (folder.parent / "rows" / "notes").write_text("edited")
    (folder.parent / "shared" / "other.onnx").write_text("new")
    assert [watcher.changed() for _ in range(3)] == [[], [], []]


def test_a_file_that_is_named_later_is_watched_from_then_on(folder):
    define(folder, "model.py:load")
    watcher = FolderWatcher([folder])
    define(folder, "../later.onnx")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]
    (folder.parent / "later.onnx").write_text("new")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]


def test_an_archive_is_outdated_by_a_younger_file_elsewhere(folder, tmp_path):
    model = new_model("table", "circle", tmp_path / "models")
    text = (model / "model.toml").read_text()
    (tmp_path / "rows.csv").write_text("x,y,label\n")
    (model / "model.toml").write_text(text.replace('rows = "model.py:rows"', 'rows = "../../rows.csv"'))
    store = tmp_path / "archives"
    store.mkdir()
    (store / "circle-1.0.0.mar").touch()
    for path in (*model.iterdir(), tmp_path / "rows.csv"):
        os.utime(path, ns=(10**9, 10**9))
    assert outdated_folders([model], store) == []
    (tmp_path / "rows.csv").touch()
    os.utime(store / "circle-1.0.0.mar", ns=(2 * 10**9, 2 * 10**9))
    assert outdated_folders([model], store) == [model]


@pytest.mark.parametrize("name", ["~nobody-of-this-name/net.onnx", "../rows/a**b.csv", "../rows/[.csv", "../\\u0000"])
def test_a_path_that_no_file_can_have_ends_no_watch(folder, name):
    watcher = FolderWatcher([folder])
    define(folder, name, "")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]
    (folder.parent / "shared" / "weights" / "a.bin").write_text("edited")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]


def test_of_a_folder_that_holds_the_model_the_files_at_its_top_are_watched(folder):
    text = (folder / "model.toml").read_text().replace('repo = "../store"', 'repo = ".."')
    (folder / "model.toml").write_text(text)
    watcher = FolderWatcher([folder])
    (folder.parent / "state").mkdir()
    (folder.parent / "state" / "access.log").write_text("what the server writes")
    assert [watcher.changed() for _ in range(3)] == [[], [], []]
    (folder.parent / "feature_store.yaml").write_text("edited")
    assert [watcher.changed(), watcher.changed()] == [[], [folder]]
