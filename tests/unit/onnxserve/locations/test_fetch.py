"""Paths of this machine: found beside the definition, and named without `..`."""

from __future__ import annotations

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations.cache import Cache
from onnxserve.locations.fetch import Access, fetch
from onnxserve.locations.location import Location, parse_location


@pytest.fixture
def access(tmp_path) -> Access:
    return Access(Cache(tmp_path / "cache"), offline=True)


def test_a_path_beside_the_definition_has_no_parents_in_it_whether_it_is_there_or_not(tmp_path, access):
    (tmp_path / "models" / "net").mkdir(parents=True)
    (tmp_path / "rows.csv").write_text("a\n")
    folder = tmp_path / "models" / "net"
    assert fetch(Location("../../rows.csv"), folder, access) == tmp_path / "rows.csv"
    assert fetch(Location("../../part-*.csv"), folder, access) == tmp_path / "part-*.csv"
    with pytest.raises(SourceError, match="no such file") as refusal:
        fetch(Location("../../lost.csv"), folder, access)
    assert refusal.value.where == str(tmp_path / "lost.csv")


def test_a_home_folder_of_nobody_is_a_path_that_is_not_there(tmp_path, access, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "rows.csv").write_text("a\n")
    assert fetch(Location("~/rows.csv"), tmp_path / "elsewhere", access) == tmp_path / "rows.csv"
    with pytest.raises(SourceError, match="no such file"):
        fetch(Location("~nobody-of-this-name/rows.csv"), tmp_path, access)


def test_a_link_keeps_its_name_since_its_suffix_says_what_it_is(tmp_path, access):
    (tmp_path / "blob").write_bytes(b"graph")
    (tmp_path / "net.onnx").symlink_to("blob")
    assert fetch(parse_location("net.onnx"), tmp_path, access).name == "net.onnx"


def test_a_store_that_no_network_reaches_is_named_with_what_to_check(tmp_path, access):
    with pytest.raises(SourceError, match="can't be reached") as failure:
        fetch(Location("ftp://127.0.0.1:1/model.onnx"), tmp_path, access._replace(offline=False))
    assert failure.value.where == "ftp://127.0.0.1:1/model.onnx"
    assert "check the address" in failure.value.fix
