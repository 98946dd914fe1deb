"""A version that exists never changes unless that was asked for."""

import shutil
from pathlib import Path

import pytest

from onnxserve.archive import contents, file_digest, make_key, sign_archive, write_archive
from onnxserve.definition import read_definition
from onnxserve.errors import ArchiveError, OnnxserveError
from onnxserve_export.export import export_model
from onnxserve_export.export_state import ExportState
from onnxserve_export.importing import ImportOptions, import_model
from onnxserve_export.importing.model_import import expected_version
from onnxserve_export.importing.outline import Fact
from onnxserve_export.options import DEFAULTS, ExportOptions
from onnxserve_export.prove import call, stored
from onnxserve_export.replacement import next_version
from onnxserve_export.step import Step


@pytest.fixture
def other(archive, tmp_path) -> Path:
    """The same name and version with other content."""
    members, manifest, _ = contents(archive)
    members["notes.txt"] = b"trained anew"
    (tmp_path / "made").mkdir()
    path: Path = tmp_path / "made" / archive.name
    write_archive(path, members, manifest)
    return path


def state_of(definition: Path, path: Path, store: Path, options: ExportOptions = DEFAULTS) -> ExportState:
    state = ExportState(read_definition(definition), store, store, lambda _: None, options=options)
    state.archive = path
    return state


def test_other_content_is_refused_with_the_next_version(definition, archive, other, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(archive.parent, store)
    with pytest.raises(ArchiveError, match=r"another circle-1\.0\.0\.mar exists") as caught:
        call(state_of(definition, other, store))
    assert 'version = "1.0.1"' in caught.value.fix
    assert "--replace" in caught.value.fix
    assert file_digest(store / archive.name) == file_digest(archive)
    replaced = state_of(definition, other, store, ExportOptions(replace=True))
    call(replaced)
    assert replaced.sha256 == file_digest(store / archive.name) == file_digest(other)


def test_a_version_that_exists_is_refused_before_any_work(definition, archive, tmp_path):
    worked: list[ExportState] = []
    steps, store = [Step("work", (), (), worked.append)], tmp_path / "store"
    shutil.copytree(archive.parent, store)
    shutil.copy(archive, store / "circle-1.0.1.mar.retired")
    with pytest.raises(ArchiveError, match=r"circle 1\.0\.0 exists") as caught:
        export_model(definition, store, steps, lambda _: None)
    assert caught.value.where == str(store / archive.name)
    assert 'set version = "1.0.2" in model.toml; or pass --replace (in Python, replace=True)' in caught.value.fix
    assert worked == []
    export_model(definition, store, steps, lambda _: None, options=ExportOptions(replace=True))
    assert len(worked) == 1


@pytest.mark.parametrize("folder", ["store", "served"])
def test_an_import_is_refused_before_the_artefact_is_read(archive, tmp_path, folder):
    (tmp_path / folder).mkdir()
    shutil.copy(archive, tmp_path / folder)
    stores = (tmp_path / "store", tmp_path / "served")
    source, models = str(tmp_path / "no-such-file.onnx"), tmp_path / "models"
    with pytest.raises(OnnxserveError, match=r"circle 1\.0\.0 exists") as caught:
        import_model("https://127.0.0.1:1/net.onnx", "circle", models, ImportOptions(stores=stores))
    assert "--version 1.0.1; or pass --replace" in caught.value.fix
    for options in (ImportOptions(stores=stores, version="1.0.1"), ImportOptions()):
        with pytest.raises(OnnxserveError, match="no-such-file") as caught:
            import_model(source, "circle", models, options)
        assert "exists, which" not in str(caught.value)


def test_the_version_of_an_archive_of_torchserve_is_known_once_it_is_read():
    assert expected_version("old.mar", {}) == ""
    assert expected_version("net.onnx", {}) == "1.0.0"
    assert expected_version("old.mar", {"version": Fact("2.1", "--version")}) == "2.1"
    assert expected_version("net.onnx", {"version": Fact("../2", "--version")}) == ""


@pytest.mark.parametrize("kept", ["served", "retired"])
def test_a_version_that_a_server_loaded_or_retired_is_taken_too(definition, archive, other, tmp_path, kept):
    store, server_stores = tmp_path / "store", tmp_path / "served"
    store.mkdir()
    server_stores.mkdir()
    shutil.copy(archive, server_stores / archive.name if kept == "served" else store / f"{archive.name}.retired")
    with pytest.raises(ArchiveError, match="exists"):
        stored(state_of(definition, other, store, ExportOptions(server_stores=(server_stores,))))
    assert stored(state_of(definition, archive, store, ExportOptions(server_stores=(server_stores,)))).is_file()


def test_the_same_content_stays_as_it_is_with_its_signature(definition, archive, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(archive, store)
    make_key(tmp_path / "key.pem")
    signed = sign_archive(store / archive.name, tmp_path / "key.pem")
    assert signed != file_digest(archive)
    state = state_of(definition, archive, store)
    call(state)
    assert state.sha256 == file_digest(store / archive.name) == signed


def test_the_next_version_raises_the_last_number():
    assert [next_version(version) for version in ("1", "1.9", "2.0.09")] == ["2", "1.10", "2.0.10"]
