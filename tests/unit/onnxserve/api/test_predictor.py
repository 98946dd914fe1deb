"""Handlers that are loaded in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from onnxserve.api.predictor import load_package
from onnxserve.errors import ArchiveError


def unpacked(folder: Path, name: str, code: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "offline.py").write_text(code)
    return folder


def test_a_package_is_loaded_once_and_leaves_the_path_as_it_was(tmp_path):
    path = list(sys.path)
    first = load_package(unpacked(tmp_path / "first", "handlers_a1b2", "ANSWER = 1\n"))
    second = load_package(unpacked(tmp_path / "second", "handlers_a1b2", "ANSWER = 1\n"))
    assert first is second
    assert first.ANSWER == 1
    assert sys.path == path


def test_other_code_of_the_same_name_is_refused(tmp_path):
    load_package(unpacked(tmp_path / "first", "handlers_c3d4", "ANSWER = 1\n"))
    with pytest.raises(ArchiveError, match=r"other code as handlers_c3d4(.|\n)*another process"):
        load_package(unpacked(tmp_path / "second", "handlers_c3d4", "ANSWER = 2\n"))
