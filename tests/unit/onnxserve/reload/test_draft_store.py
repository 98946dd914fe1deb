"""Drafts never get into the user's store."""

from __future__ import annotations

import os

from onnxserve.reload import development_store


def test_the_store_has_the_archives_of_the_users_and_ends_with_the_server(tmp_path):
    users, state = tmp_path / "users", tmp_path / "state"
    users.mkdir()
    (users / "circle-1.0.0.mar").write_bytes(b"archive")
    os.utime(users / "circle-1.0.0.mar", ns=(10**9, 10**9))
    with development_store(users, state) as store:
        link = store / "circle-1.0.0.mar"
        assert (link.read_bytes(), link.stat().st_mtime_ns) == (b"archive", 10**9)
        link.rename(store / "circle-1.0.0.mar.retired")
        (store / "circle-1.0.0.1.mar").write_bytes(b"draft")
    assert not store.exists()
    assert [path.name for path in users.iterdir()] == ["circle-1.0.0.mar"]


def test_what_a_killed_server_left_is_removed(tmp_path):
    left = tmp_path / "state" / "development" / "circle-1.0.0.7.mar"
    left.parent.mkdir(parents=True)
    left.touch()
    with development_store(tmp_path / "missing", tmp_path / "state") as store:
        assert list(store.iterdir()) == []


def test_an_archive_that_is_a_relative_link_is_in_the_store_too(tmp_path):
    users, archives = tmp_path / "users", tmp_path / "archives"
    users.mkdir()
    archives.mkdir()
    (archives / "circle.mar").write_bytes(b"archive")
    (users / "circle-1.0.0.mar").symlink_to("../archives/circle.mar")
    (users / "gone-1.0.0.mar").symlink_to("../archives/gone.mar")
    with development_store(users, tmp_path / "state") as store:
        assert [path.name for path in store.iterdir()] == ["circle-1.0.0.mar"]
        assert (store / "circle-1.0.0.mar").read_bytes() == b"archive"
