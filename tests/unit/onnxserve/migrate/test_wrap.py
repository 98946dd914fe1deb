"""The wrapped archive: the same members, canonical, unproven, and reproducible."""

from __future__ import annotations

import json

import pytest

from onnxserve.archive import Stores, check_archive, contents, fill, read_signature, summarise
from onnxserve.convert import to_asgi, to_triton
from onnxserve.errors import ArchiveError
from onnxserve.migrate import read_stock, wrap
from onnxserve.supervisor.store import read_archive
from tests.helpers.stock import MANIFEST, doubler_members, with_manifest, write_folder, write_tar, write_zip


def test_the_members_are_the_same_and_the_archive_says_that_it_is_unproven(tmp_path):
    source = write_zip(tmp_path / "a.mar", doubler_members())
    path, sha256 = wrap(read_stock(source), tmp_path / "store")
    members, manifest, _ = contents(path)
    stock = doubler_members()
    assert manifest == json.loads(stock.pop(MANIFEST))
    assert {name: members[name] for name in stock} == stock
    assert members.keys() - stock.keys() == {"evidence.json", "migration.json"}
    summary = summarise(path)
    assert (path.name, summary.sha256, summary.evidence["summary"]["proof"]) == ("doubler-1.0.mar", sha256, "unproven")
    record = json.loads(members["migration.json"])
    assert (record["source"], record["handler"]) == ("a.mar", "doubler.py")


def test_it_passes_the_check_of_its_members_without_running_anything_and_enters_a_server(tmp_path):
    path, _ = wrap(read_stock(write_zip(tmp_path / "a.mar", doubler_members())), tmp_path / "store")
    checked = check_archive(path, ())
    assert (checked.name, checked.version, checked.golden_rows) == ("doubler", "1.0", 0)
    assert fill(Stores(path.parent, tmp_path / "served")) == []
    assert read_archive(path).version == ("doubler", "1.0")
    assert not read_archive(path).ours
    changed = bytearray(path.read_bytes())
    changed[changed.index(b"Doubles numbers")] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ArchiveError, match=r"doubler.py is damaged"):
        check_archive(path, ())


def test_the_same_archive_gives_the_same_bytes_and_another_one_never_replaces_it(tmp_path):
    stock = read_stock(write_zip(tmp_path / "a.mar", doubler_members()))
    first, again = wrap(stock, tmp_path / "store"), wrap(stock, tmp_path / "store")
    assert first == again
    other = read_stock(write_zip(tmp_path / "a.mar", doubler_members(3.0)))
    with pytest.raises(ArchiveError, match=r"the store has another doubler-1\.0\.mar"):
        wrap(other, tmp_path / "store")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["doubler-1.0.mar"]


def test_tarballs_and_folders_become_archives_too_and_a_manifest_may_lack_the_version(tmp_path):
    members = with_manifest(doubler_members(), modelVersion=None)
    for source in (write_tar(tmp_path / "a.tar.gz", members), write_folder(tmp_path / "a", members)):
        path, _ = wrap(read_stock(source), tmp_path / source.name.replace(".", "-") / "store")
        assert check_archive(path, ()).version == "1.0"


def test_what_needs_a_signature_says_that_the_archive_only_serves(tmp_path):
    path, _ = wrap(read_stock(write_zip(tmp_path / "a.mar", doubler_members())), tmp_path / "store")
    with pytest.raises(ArchiveError, match=r"signature.json is missing") as raised:
        read_signature(path)
    assert "onnxserve migrate SOURCE --convert models" in raised.value.fix
    assert "onnxserve import SOURCE NAME --kind KIND --task TASK" in raised.value.fix
    for convert in (to_asgi, to_triton):
        with pytest.raises(ArchiveError, match=r"signature.json is missing"):
            convert(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()
