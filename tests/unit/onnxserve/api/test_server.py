"""Which archives a server is started with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import onnxserve
from onnxserve.api.server import link_archives
from onnxserve.errors import ArchiveError, ServerError


def test_archives_are_named_one_by_one_or_by_their_folder(archive, next_archive, tmp_path):
    both = [("circle", "1.0.0"), ("circle", "2.0.0")]
    assert link_archives([archive, onnxserve.Archive(next_archive)], tmp_path / "several") == both
    assert link_archives(str(archive), tmp_path / "single") == both[:1]
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(archive, folder / "any-name.mar")
    assert link_archives(folder, tmp_path / "store") == both[:1]
    assert (tmp_path / "store" / "circle-1.0.0.mar").resolve() == folder / "any-name.mar"


def test_a_version_is_named_once(archive, tmp_path):
    copy = shutil.copy(archive, tmp_path / "copy.mar")
    with pytest.raises(ServerError, match=r"circle 1\.0\.0 is named twice"):
        link_archives([archive, copy], tmp_path / "store")


@pytest.mark.parametrize("archives", [[], Path()])
def test_no_archive_is_no_server(archives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ServerError, match="no archive to serve"):
        onnxserve.serve(archives)


def test_a_file_that_is_no_archive_starts_nothing(tmp_path):
    (tmp_path / "text.mar").write_text("text")
    with pytest.raises(ArchiveError, match="not an archive"):
        onnxserve.serve(tmp_path / "text.mar")
