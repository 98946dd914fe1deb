"""Where an artefact is, and how a definition names it."""

import hashlib
from pathlib import Path

import pytest

from onnxserve.errors import DefinitionError, SourceError
from onnxserve_export.importing import ImportOptions, import_model, model_import
from onnxserve_export.importing.artefact import locate


def located(source: str, folder: Path):
    return locate(source, folder, offline=True, say=lambda _: None)


def test_a_file_of_the_project_is_named_relatively_and_another_by_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "project" / "weights").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    for path in (tmp_path / "net.onnx", tmp_path / "project" / "weights" / "net.onnx"):
        path.write_bytes(b"")
    assert located("weights/net.onnx", Path("models/net")).reference == "../../weights/net.onnx"
    assert located("../net.onnx", Path("models/net")).reference == str(tmp_path / "net.onnx")


def test_a_pin_that_the_user_gave_stays(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    pin = "@sha256:" + hashlib.sha256(b"").hexdigest()
    assert located(f"{tmp_path / 'net.onnx'}{pin}", tmp_path / "models").reference == f"{tmp_path / 'net.onnx'}{pin}"


def test_a_file_that_is_not_the_pinned_one_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "net.pkl").write_bytes(b"")
    with pytest.raises(SourceError, match="is pinned"):
        located(f"{tmp_path / 'net.pkl'}@sha256:{'0' * 64}", tmp_path / "models")


def test_a_link_keeps_its_name(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0a1b").write_bytes(b"")
    (tmp_path / "net.onnx").symlink_to(tmp_path / "blobs" / "0a1b")
    assert located(str(tmp_path / "net.onnx"), tmp_path / "models").path == tmp_path / "net.onnx"


def test_a_function_of_a_module_has_no_path_and_one_of_a_file_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("")
    assert located("package.net:build", tmp_path)[:2] == ("package.net:build", None)
    assert located("net.py:build", tmp_path)[:2] == ("net.py:build", tmp_path / "net.py")


def test_what_is_not_there_is_said_with_what_may_be_given(tmp_path):
    with pytest.raises(DefinitionError, match="there is no ") as caught:
        located(str(tmp_path / "net.onnx"), tmp_path)
    assert "module:factory" in caught.value.fix


@pytest.mark.parametrize(("source", "rows"), [("net.onnx", "https://host/rows.csv"), ("https://host/net.onnx", "")])
def test_nothing_is_fetched_for_an_import_that_fails(source, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(model_import, "locate", lambda place, *_, **__: pytest.fail(f"{place} is fetched"))
    with pytest.raises(DefinitionError, match="'my net' isn't a valid model name"):
        import_model(source, "my net", tmp_path / "models", ImportOptions(rows=rows))
