"""Archives from elsewhere: what isn't the bytes that were named never enters the store."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import pytest

from onnxserve.archive.pull import pull
from onnxserve.errors import ArchiveError


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def bucket(archive) -> str:
    """An object store that lives in memory."""
    url = f"memory://bucket/{archive.name}"
    with fsspec.open(url, "wb") as stream:
        stream.write(archive.read_bytes())
    return url


def test_a_path_and_a_url_are_stored_under_their_name(archive, bucket, tmp_path):
    for at, source in enumerate((str(archive), bucket)):
        stored = pull(source, digest(archive), tmp_path / str(at))
        assert stored == tmp_path / str(at) / archive.name
        assert digest(stored) == digest(archive)


def test_what_is_there_with_the_digest_is_not_fetched_again(archive, tmp_path):
    pull(str(archive), digest(archive), tmp_path)
    assert pull(f"memory://gone/{archive.name}", digest(archive), tmp_path).is_file()


def test_other_bytes_than_those_named_are_refused_and_nothing_is_stored(archive, bucket, tmp_path):
    with pytest.raises(ArchiveError, match="its SHA-256 is"):
        pull(bucket, "0" * 64, tmp_path)
    damaged = tmp_path / "there" / archive.name
    damaged.parent.mkdir()
    damaged.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ArchiveError):
        pull(str(damaged), digest(damaged), tmp_path / "store")
    assert not list(tmp_path.glob("*.mar"))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("source", "named", "message"),
    [
        ("memory://bucket/model.zip", "0" * 64, "must end in .mar"),
        ("memory://bucket/a.mar", "", "not a SHA-256"),
        ("memory://bucket/a.mar", "0" * 63 + "G", "not a SHA-256"),
        ("memory://bucket/none.mar", "0" * 64, "can't be read"),
        ("nowhere://bucket/a.mar", "0" * 64, "can't be read"),
        ("no/such/file.mar", "0" * 64, "can't be read"),
    ],
)
def test_what_cannot_be_fetched_is_said(tmp_path, source, named, message):
    with pytest.raises(ArchiveError, match=message):
        pull(source, named, tmp_path)
