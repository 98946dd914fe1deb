"""Temporary folders go with their object, their process, or the next process that makes one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxserve import scratch
from onnxserve.scratch import Scratch, remove_ownerless

HOLD = """
from onnxserve.scratch import Scratch

kept = Scratch()
(kept.path / "file").write_text("text")
print(kept.path, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, here and in programs that a test starts."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    remove_ownerless.cache_clear()
    folder: Path = tmp_path
    return folder


def begin() -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_its_block_and_with_its_object(temporary):
    with Scratch() as folder:
        (folder / "file").write_text("text")
        assert folder.stat().st_mode & 0o777 == 0o700
    kept = Scratch()
    assert [*temporary.iterdir()] == [kept.path]
    del kept
    gc.collect()
    assert not [*temporary.iterdir()]


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_those_of_others_stay(temporary):
    dead, left = begin()
    living, used = begin()
    other = temporary / "onnxserve-of-another-version"
    other.mkdir()
    dead.kill()
    dead.communicate()
    assert left.is_dir()
    with Scratch() as folder:
        assert sorted(temporary.iterdir()) == sorted([folder, used, other])
        assert (used / "file").read_text() == "text"
    living.communicate("\n")
    assert [*temporary.iterdir()] == [other]


def test_a_copy_of_the_process_that_ends_takes_no_folder_with_it():
    kept = Scratch()
    pid = os.fork()
    if pid == 0:
        kept.remove()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert kept.path.is_dir()
    kept.remove()
    assert not kept.path.exists()


def test_where_folders_can_not_be_locked_none_is_removed_by_others(temporary, monkeypatch):
    def refuse(*_: object) -> bool:
        raise OSError("no locks")

    monkeypatch.setattr(scratch, "try_lock", refuse)
    with Scratch() as folder:
        monkeypatch.undo()
        remove_ownerless(temporary)
        assert folder.is_dir()
