"""The server's own store: what is copied into it, what is refused by name, and what nobody finds there later."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from onnxserve.archive import Stores, fill, make_key, refusals, sign_archive, write_archive
from onnxserve.archive.store import STAGED
from tests.helpers.attacks.archives import EVIL, HOSTILE, rezip


def write_stored(store: Path, name: str, version: str = "1.0.0", **members: bytes) -> Path:
    """A small archive in a store."""
    path = store / f"{name}-{version}.mar"
    manifest: dict[str, object] = {"model": {"modelName": name, "modelVersion": version, "handler": "service.py"}}
    write_archive(path, {"service.py": EVIL, "golden.json": b"{}" * 50, **members}, manifest)
    return path


@pytest.fixture
def stores(tmp_path) -> Stores:
    (tmp_path / "kept").mkdir()
    return Stores(tmp_path / "kept", tmp_path / "state" / "store")


def served_names(stores: Stores) -> list[str]:
    return sorted(path.name for path in stores.server.iterdir())


def test_copies_are_for_reading_by_this_user_only_and_the_users_store_stays_as_it_is(stores):
    path = write_stored(stores.user, "good")
    assert fill(stores) == []
    copy = stores.server / path.name
    assert copy.read_bytes() == path.read_bytes()
    assert copy.stat().st_ino != path.stat().st_ino
    assert stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert stat.S_IMODE(stores.server.stat().st_mode) == 0o500
    assert [entry.name for entry in stores.user.iterdir()] == [path.name]


def test_every_hostile_archive_is_refused_by_name_and_the_good_one_is_served(stores):
    good = write_stored(stores.user, "good").read_bytes()
    for kind, (make, _) in HOSTILE.items():
        (stores.user / f"{kind}.mar").write_bytes(make(good))
    refused = fill(stores)
    assert sorted(refusal.file for refusal in refused) == sorted(f"{kind}.mar" for kind in HOSTILE)
    assert all(refusal.reason for refusal in refused)
    assert refusals(stores.user) == refused
    assert served_names(stores) == ["good-1.0.0.mar"]


def test_whatever_else_torchserve_would_load_is_refused_by_name_and_other_files_are_nobodys_business(stores):
    write_stored(stores.user, "good")
    (stores.user / "folder").mkdir()
    (stores.user / "folder" / "service.py").write_bytes(EVIL)
    (stores.user / "folder.mar").mkdir()
    os.mkfifo(stores.user / "pipe.mar")
    for name in ("packed.tar.gz", "old.model", "a,b.mar", "x=y.mar", f"half{STAGED}", "notes.txt", ".hidden.mar"):
        (stores.user / name).write_bytes(b"x")
    (stores.user / "twin.mar").write_bytes((stores.user / "good-1.0.0.mar").read_bytes())
    foreseen = refusals(stores.user)
    assert not stores.server.exists()
    reasons = {refusal.file: refusal.reason for refusal in fill(stores)}
    assert {refusal.file: refusal.reason for refusal in foreseen} == reasons
    assert reasons.pop("twin.mar") == "it is good 1.0.0, which good-1.0.0.mar is already"
    assert sorted(reasons) == sorted(
        ["folder", "folder.mar", "pipe.mar", "packed.tar.gz", "old.model", "a,b.mar", "x=y.mar", f"half{STAGED}"]
    )
    assert served_names(stores) == ["good-1.0.0.mar"]


def test_with_a_key_only_what_its_owner_signed_is_served(stores, tmp_path):
    key = make_key(tmp_path / "signing.pem")
    signed, unsigned = write_stored(stores.user, "signed"), write_stored(stores.user, "unsigned")
    sign_archive(signed, tmp_path / "signing.pem")
    foreign = stores.user / "foreign.mar"
    foreign.write_bytes(rezip(unsigned.read_bytes(), without=frozenset({"digests.json"})))
    assert {refusal.file: refusal.reason for refusal in fill(stores, key)} == {
        unsigned.name: "the archive is not signed",
        "foreign.mar": "the archive is not signed",
    }
    assert served_names(stores) == [signed.name]
    (stores.user / "second.mar").write_bytes(HOSTILE["second-header"][0](signed.read_bytes()))
    assert [refusal.file for refusal in fill(stores, key) if "belong to no member" in refusal.reason] == ["second.mar"]


def test_an_archive_of_others_is_served_where_no_key_is_configured(stores):
    good = write_stored(stores.user, "other")
    good.write_bytes(rezip(good.read_bytes(), without=frozenset({"digests.json"})))
    assert fill(stores) == []
    assert served_names(stores) == [good.name]


@pytest.mark.parametrize("name", ["../up", "a b", "x;}", "", "a\nb", "-rf"])
def test_a_manifest_whose_names_could_be_more_than_names_is_refused(stores, name):
    manifest: dict[str, object] = {"model": {"modelName": name, "modelVersion": "1.0", "handler": "service.py"}}
    write_archive(stores.user / "odd.mar", {"service.py": EVIL}, manifest)
    [refusal] = fill(stores)
    assert "isn't a valid name of a model" in refusal.reason


def test_the_second_of_two_files_with_one_version_is_refused(stores):
    first = write_stored(stores.user, "good")
    (stores.user / "good-again.mar").write_bytes(first.read_bytes())
    [refusal] = fill(stores)
    assert (refusal.file, refusal.reason) == ("good-again.mar", "it is good 1.0.0, which good-1.0.0.mar is already")
    assert served_names(stores) == [first.name]


def test_what_is_gone_was_refused_or_was_put_there_by_others_is_not_served_at_the_next_start(stores):
    removed, stays = write_stored(stores.user, "gone"), write_stored(stores.user, "stays")
    fill(stores)
    removed.unlink()
    stores.server.chmod(0o700)
    (stores.server / "posted.mar").write_bytes(b"from elsewhere")
    (stores.server / "folder").mkdir()
    assert fill(stores) == []
    assert served_names(stores) == [stays.name]


def test_a_copy_that_was_changed_meanwhile_is_found_out_and_a_changed_archive_is_copied_anew(stores):
    path = write_stored(stores.user, "good")
    fill(stores)
    copy = stores.server / path.name
    before = copy.stat()
    copy.chmod(0o600)
    copy.write_bytes(copy.read_bytes().replace(b"EVIL", b"evil", 1))
    os.utime(copy, ns=(before.st_mtime_ns, before.st_mtime_ns))
    [refusal] = fill(stores)
    assert "is damaged" in refusal.reason
    assert fill(stores) == []  # the copy is gone, so the next one is made of the archive
    write_stored(stores.user, "good", notes=b"another")
    assert fill(stores) == []
    assert copy.read_bytes() == path.read_bytes()


def test_an_unchanged_archive_is_verified_again_but_not_copied_again(stores, tmp_path):
    path = write_stored(stores.user, "good")
    fill(stores)
    inode = (stores.server / path.name).stat().st_ino
    assert fill(stores) == []
    assert (stores.server / path.name).stat().st_ino == inode
    assert [refusal.reason for refusal in fill(stores, make_key(tmp_path / "k.pem"))] == ["the archive is not signed"]
