"""The members of zips, tarballs and folders: the same for all, and nothing unsafe."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile

import pytest

from onnxserve.errors import ArchiveError
from onnxserve.migrate.members import read_members
from tests.helpers.stock import MANIFEST, doubler_members, write_folder, write_tar, write_zip


def test_the_archivers_three_formats_have_the_same_members(tmp_path):
    members = doubler_members()
    archives = (
        write_zip(tmp_path / "a.mar", members),
        write_tar(tmp_path / "a.tar.gz", members),
        write_folder(tmp_path / "a", members),
    )
    for archive in archives:
        contents = read_members(archive)
        assert contents.members == members
        assert (len(contents.sha256), contents.dropped) == (64, ())


def test_a_zip_whose_layout_only_some_readers_understand_is_read_by_its_directory(tmp_path):
    path = write_zip(tmp_path / "a.mar", doubler_members())
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert read_members(path).members == doubler_members()


def test_caches_are_left_out_and_what_lies_beside_the_models_folder_is_named(tmp_path):
    members = {f"top/{name}": content for name, content in doubler_members().items()}
    cache = {"top/__pycache__/doubler.cpython-38.pyc": b"x"}
    contents = read_members(write_zip(tmp_path / "a.mar", {**members, **cache, "notes.txt": b"x"}))
    assert contents.members == doubler_members()
    assert contents.dropped == ("notes.txt",)


def test_hidden_folders_and_caches_of_a_folder_are_left_out(tmp_path):
    folder = write_folder(tmp_path / "a", {**doubler_members(), ".git/config": b"x", "__pycache__/x.pyc": b"x"})
    assert read_members(folder).members == doubler_members()


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a\\..\\evil.py"])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path, name):
    zipped = write_zip(tmp_path / "a.mar", doubler_members())
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(ArchiveError, match="leaves the folder"):
        read_members(zipped)
    tarball = tmp_path / "a.tar"
    with tarfile.open(tarball, "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(ArchiveError, match="leaves the folder"):
        read_members(tarball)


def test_links_are_refused(tmp_path):
    tarball, folder = tmp_path / "a.tar", write_folder(tmp_path / "a", doubler_members())
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tarball, "w") as archive:
        archive.addfile(link)
    (folder / "link").symlink_to("/etc/passwd")
    zipped = write_zip(tmp_path / "a.mar", doubler_members())
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    for path in (tarball, folder, zipped):
        with pytest.raises(ArchiveError, match=r"unsafe archive: '?link'? is"):
            read_members(path)


def test_a_pipe_in_a_folder_is_refused_and_not_read(tmp_path):
    folder = write_folder(tmp_path / "a", doubler_members())
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArchiveError, match="pipe is neither file nor folder"):
        read_members(folder)


def test_what_unpacks_to_far_more_than_it_holds_is_refused(tmp_path):
    bomb = {**doubler_members(), "bomb": bytes(30_000_000)}
    for path in (write_zip(tmp_path / "a.mar", bomb), write_tar(tmp_path / "a.tar.gz", bomb)):
        with pytest.raises(ArchiveError, match="unsafe archive"):
            read_members(path)


def test_what_is_no_archive_or_damaged_is_refused_with_what_would_be_one(tmp_path):
    (tmp_path / "text.mar").write_bytes(b"hello")
    (tmp_path / "empty").mkdir()
    for name, match in (("text.mar", "neither a zip"), ("empty", f"{MANIFEST} is missing"), ("gone.mar", "no such")):
        with pytest.raises(ArchiveError, match=match) as raised:
            read_members(tmp_path / name)
        assert "torch-model-archiver" in raised.value.fix
    for path in (write_zip(tmp_path / "a.mar", doubler_members()), write_tar(tmp_path / "a.tar.gz", doubler_members())):
        content = bytearray(path.read_bytes())
        content[60:90] = bytes(30)
        path.write_bytes(content)
        with pytest.raises(ArchiveError):
            read_members(path)
