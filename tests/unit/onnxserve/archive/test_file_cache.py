"""A file is read once, and again after any change; an archive's claims are read from it once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxserve.admin import version_page
from onnxserve.archive import evidence
from onnxserve.archive.file_cache import cached_by_file
from onnxserve.errors import ArchiveError


class Reader:
    """Returns a file's bytes, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> bytes:
        self.calls += 1
        return path.read_bytes()


def test_a_file_is_read_again_after_any_change(tmp_path):
    path, other, reader = tmp_path / "a", tmp_path / "b", Reader()
    read = cached_by_file(reader)
    path.write_bytes(b"one")
    assert [read(path), read(path)] == [b"one", b"one"]
    assert reader.calls == 1
    path.write_bytes(b"longer")
    assert read(path) == b"longer"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    other.write_bytes(b"tenant")
    os.utime(other, ns=times)
    other.replace(path)  # of the same size and time, as a copy keeps them
    assert (read(path), reader.calls) == (b"tenant", 3)


def test_an_error_is_not_kept(tmp_path):
    reader = Reader()
    read = cached_by_file(reader)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"one")
    assert (read(tmp_path / "a"), reader.calls) == (b"one", 3)


def test_of_a_file_that_goes_away_the_reader_says_what_is_wrong(tmp_path, monkeypatch):
    def refuse(_: Path) -> bytes:
        raise ArchiveError("there is no such archive")

    monkeypatch.setattr(Path, "is_file", lambda _: True)  # as it was a moment before
    with pytest.raises(ArchiveError, match="no such archive"):
        cached_by_file(refuse)(tmp_path / "a")


@pytest.mark.parametrize("module", [evidence, version_page])
def test_an_archive_is_opened_once_for_all_that_is_asked_of_it(archive, tmp_path, monkeypatch, module):
    copy, opened, plain = tmp_path / "circle-1.0.0.mar", list[Path](), module.open_archive

    def note(path: Path) -> object:
        opened.append(path)
        return plain(path)

    copy.write_bytes(archive.read_bytes())
    monkeypatch.setattr(module, "open_archive", note)
    for _ in range(2):
        if module is evidence:
            assert (evidence.read_proof_kind(copy), evidence.read_why_no_profile(copy)) == ("certified", "")
        else:
            page = version_page.version_page(copy, tmp_path, "circle", "1.0.0")
            assert page["evidence"]["summary"]["proof"] == "certified"
    assert opened == [copy]
