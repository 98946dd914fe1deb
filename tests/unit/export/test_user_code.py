"""Functions of model folders, and the modules beside them."""

import sys
from pathlib import Path

import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.user_code import call_function, find_function


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "model.py").write_text("import neighbour_of_mine\n\n\ndef name():\n    return neighbour_of_mine.NAME\n")
    (folder / "neighbour_of_mine.py").write_text(f"NAME = {name!r}\n")
    return folder


def test_each_folder_imports_its_own_neighbours_and_no_others(tmp_path):
    first, second = folder_of(tmp_path, "first"), folder_of(tmp_path, "second")
    assert call_function("model.py:name", first) == "first"
    assert call_function("model.py:name", second) == "second"
    assert str(first) not in sys.path
    assert call_function("model.py:name", first) == "first"
    lone = tmp_path / "lone"
    lone.mkdir()
    (lone / "model.py").write_text("import neighbour_of_mine\n")
    with pytest.raises(ModuleNotFoundError):
        call_function("model.py:name", lone)


def test_a_folder_is_left_and_found_again_though_the_path_was_set_anew_meanwhile(tmp_path, monkeypatch):
    first, second = folder_of(tmp_path, "first"), folder_of(tmp_path, "second")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        assert call_function("model.py:name", first) == "first"
    assert str(first) not in sys.path
    assert call_function("model.py:name", first) == "first"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [path for path in sys.path if path != str(first)])
        assert call_function("model.py:name", second) == "second"
    assert call_function("model.py:name", first) == "first"


def test_a_function_that_is_not_there_is_told_with_those_that_are(tmp_path):
    (tmp_path / "net.py").write_text("def build(): ...\ndef _part(): ...\n")
    with pytest.raises(DefinitionError, match=r"net\.py has no function 'load'") as refusal:
        find_function("net.py:load", tmp_path)
    assert (refusal.value.where, refusal.value.fix) == (str(tmp_path / "net.py"), "it has net.py:build")


def test_a_function_that_wants_more_than_is_offered_is_told_what_it_may_name(tmp_path):
    (tmp_path / "model.py").write_text("def load(path, size): ...\n")
    with pytest.raises(DefinitionError, match=r"model\.py:load wants path, size, which is not offered") as caught:
        call_function("model.py:load", tmp_path)
    assert "[]" not in caught.value.fix
    assert "name a function without arguments that calls it" in caught.value.fix
    with pytest.raises(DefinitionError, match="wants path") as caught:
        call_function("model.py:load", tmp_path, size=1, fit=())
    assert "it may name fit, size; " in caught.value.fix


def test_a_module_that_the_name_stands_for_is_the_model(tmp_path):
    (tmp_path / "model.py").write_text("import torch\nnet = torch.nn.Linear(3, 2)\nkind = torch.nn.Identity\n")
    assert call_function("model.py:net", tmp_path).weight.shape == (2, 3)
    assert type(call_function("model.py:kind", tmp_path)).__name__ == "Identity"
