"""Objects, prefixes and globs of a store that fsspec keeps in memory, and the extras that stores need."""

from __future__ import annotations

import sys
from pathlib import Path

import fsspec
import pytest

from onnxserve.errors import SourceError
from onnxserve.locations import fetch as fetching
from onnxserve.locations import transfer
from onnxserve.locations.cache import Cache
from onnxserve.locations.fetch import Access, fetch
from onnxserve.locations.location import Location
from tests.helpers.downloads import fetch_pinned, pin_of

FILES = {"a.csv": b"x\n1\n", "b.csv": b"x\n2\n", "deep/c.csv": b"x\n3\n", "notes.md": b"notes"}


@pytest.fixture
def bucket(tmp_path) -> str:
    """A bucket in memory, of a name of its own, since the memory is the whole process's."""
    url = f"memory://{tmp_path.name}"
    for name, content in FILES.items():
        with fsspec.open(f"{url}/{name}", "wb") as stream:
            stream.write(content)
    return url


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", {"a.csv", "b.csv", "deep/c.csv", "notes.md"}),
        ("deep/", {"c.csv"}),
        ("*.csv", {"a.csv", "b.csv"}),
        ("**/*.csv", {"a.csv", "b.csv", "deep/c.csv"}),
    ],
)
def test_a_prefix_and_a_glob_are_folders(bucket, access, path, names):
    folder = fetch_pinned(f"{bucket}/{path}", access)
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == names


def test_an_object_is_a_file_under_its_name(bucket, access):
    path = fetch_pinned(f"{bucket}/deep/c.csv", access)
    assert (path.name, path.read_bytes()) == ("c.csv", FILES["deep/c.csv"])


def test_an_object_that_changed_is_refused(bucket, access):
    fetch_pinned(f"{bucket}/", access)
    location = pin_of(f"{bucket}/", access)
    with fsspec.open(f"{bucket}/a.csv", "wb") as stream:
        stream.write(b"other")
    with pytest.raises(SourceError, match="is pinned"):
        fetch(location, Path(), Access(Cache(access.cache.find(location.sha256).parents[2]), say=access.say))


@pytest.mark.parametrize("path", ["nothing.csv", "nothing/*.csv"])
def test_what_is_not_there_is_said(bucket, access, path):
    with pytest.raises(SourceError, match="no such object, prefix or glob"):
        fetch(Location(f"{bucket}/{path}"), Path(), access)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("s3://bucket/x", "s3fs", "onnxserve[s3]"),
        ("gs://bucket/x", "gcsfs", "onnxserve[gs]"),
        ("az://container/x", "adlfs", "onnxserve[az]"),
        ("hf://owner/name", "huggingface_hub", "onnxserve[hf]"),
    ],
)
def test_a_store_whose_package_is_missing_names_the_extra(access, monkeypatch, url, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, url.partition(":")[0], raising=False)
    with pytest.raises(SourceError, match=module) as refusal:
        fetch(Location(url), Path(), access)
    assert extra in refusal.value.fix


def test_an_unknown_scheme_names_those_there_are(access):
    with pytest.raises(SourceError, match="no such address") as refusal:
        fetch(Location("nowhere://bucket/x"), Path(), access)
    assert "s3://" in refusal.value.fix


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(transfer, "FIRST_S", 0.0)
    monkeypatch.setattr(fetching, "FIRST_S", 0.0)
