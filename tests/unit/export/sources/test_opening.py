"""What is no model is refused with the forms that are."""

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.sources import open_source


@pytest.mark.parametrize(
    ("name", "message"), [("other.onnx", "there is no file"), ("net.h5", "isn't a model that can be read")]
)
def test_a_missing_file_and_an_unknown_suffix_are_refused(tmp_path, name, message):
    (tmp_path / "net.h5").write_bytes(b"nothing")
    with pytest.raises(DefinitionError, match=message) as caught:
        open_source(name, tmp_path, {})
    assert ".onnx" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("net.py", "net.py is code", "net.py:FUNCTION"),
        ("net.safetensors", "has weights without their model", "config.json"),
    ],
)
def test_a_part_of_a_model_is_refused_with_what_to_give_in_its_place(tmp_path, name, message, fix):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DefinitionError, match=message) as caught:
        open_source(name, tmp_path, {})
    assert fix in caught.value.fix


def test_a_function_that_gives_no_model_is_refused(tmp_path):
    (tmp_path / "model.py").write_text("def load(): return 3\n")
    with pytest.raises(DefinitionError, match=r"model\.py:load gave int, which isn't a model"):
        open_source("model.py:load", tmp_path, {})


def test_a_function_of_a_file_in_a_folder_is_found_there(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "model.py").write_text("def load(): return 'the other file'\n")
    (tmp_path / "code" / "model.py").write_text("def load(): return 3\n")
    with pytest.raises(DefinitionError, match=r"code/model\.py:load gave int"):
        open_source("code/model.py:load", tmp_path, {})


@pytest.mark.parametrize("reference", ["other.py:load", "../model.py:load"])
def test_code_lies_in_the_models_folder(tmp_path, reference):
    (tmp_path / "model.py").write_text("def load(): return 3\n")
    (tmp_path / "net").mkdir()
    with pytest.raises(DefinitionError, match="there is no file"):
        open_source(reference, tmp_path / "net", {})


def test_a_pointer_of_git_lfs_is_named_with_how_to_fetch_its_file(tmp_path):
    (tmp_path / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:46\nsize 9\n")
    with pytest.raises(DefinitionError, match="pointer of Git LFS") as refusal:
        open_source("model.onnx", tmp_path, {})
    assert "git lfs pull" in refusal.value.fix
