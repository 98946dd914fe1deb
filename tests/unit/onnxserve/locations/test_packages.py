"""Files of the package registry."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations.cache import Cache
from onnxserve.locations.fetch import Access, NotCached
from onnxserve.locations.packages import PackageFile, fetch_package, platform_flags

FILE = "p-1-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / FILE
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/data.txt", "rows")
    return path


def test_pip_is_told_the_platform_of_the_pinned_file():
    flags = platform_flags("river-0.26.1-cp311-cp311-manylinux_2_28_x86_64.whl")
    assert flags[flags.index("--abi") + 1] == "cp311"
    assert flags[flags.index("--python-version") + 1] == "311"
    assert platform_flags("vaderSentiment-3.3.2.tar.gz") == ["--no-binary", ":all:"]
    with pytest.raises(SourceError):
        platform_flags("strange.whl")


def test_a_package_in_the_cache_is_unpacked_and_needs_no_network(wheel, tmp_path):
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    access = Access(Cache(tmp_path / "cache"), offline=True)
    access.cache.keep(wheel, digest)
    folder = fetch_package(PackageFile("p", "1", FILE, digest), access)
    assert (folder / "p" / "data.txt").read_text() == "rows"
    assert fetch_package(PackageFile("p", "1", FILE, digest), access) == folder


def test_a_cached_package_that_was_tampered_with_is_fetched_anew(wheel, tmp_path):
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    access = Access(Cache(tmp_path / "cache"), offline=True)
    access.cache.keep(wheel, digest).write_bytes(b"tampered")
    with pytest.raises(NotCached, match=f"{FILE} is not in the cache"):
        fetch_package(PackageFile("p", "1", FILE, digest), access)
