"""Archives: reproducible, whole, and safe to open."""

import hashlib
import json
import shutil
import stat
import zipfile

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from onnxserve.archive import check_archive, manifest, summarise, unpack, write_archive
from onnxserve.archive.check import check_members
from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import UNRECORDED


def test_the_same_members_give_the_same_bytes_in_any_order(tmp_path):
    members = {"b": b"2", "a": b"1", "dir/c": b"3" * 1000}
    first = write_archive(tmp_path / "1.mar", members, manifest("demo", "1.0"))
    second = write_archive(tmp_path / "2.mar", dict(reversed(members.items())), manifest("demo", "1.0"))
    assert first == second
    assert (tmp_path / "1.mar").read_bytes() == (tmp_path / "2.mar").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".mar"] == []


def test_an_exported_archive_passes_its_own_check(archive):
    checked = check_archive(archive)
    assert (checked.name, checked.version, checked.golden_rows) == ("circle", "1.0.0", 2)
    assert summarise(archive).evidence["summary"]["rows"] == 775


def test_a_flipped_byte_is_caught_wherever_it_is_in_a_member(archive, tmp_path):
    with zipfile.ZipFile(archive) as original:
        infos = {info.filename: original.read(info) for info in original.infolist()}
    names = sorted(set(infos) - UNRECORDED)
    assert len(names) > 15
    for name in names:
        damaged = tmp_path / "damaged.mar"
        with zipfile.ZipFile(damaged, "w") as copy:
            for other, content in infos.items():
                flipped = bytes([content[0] ^ 1]) + content[1:] if other == name and content else content
                copy.writestr(other, flipped if other != name or content else b"x")
        with pytest.raises(ArchiveError, match=f"{name} differs"):
            check_members(damaged)


def test_a_flipped_byte_is_caught_wherever_it_is_in_the_file(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    damaged = tmp_path / "damaged.mar"
    # Every structure of the zip lies at its two ends; between them a prime step meets names, dates and contents.
    places = [*range(200), *range(200, len(content) - 4000, 997), *range(len(content) - 4000, len(content), 7)]
    for place in places:
        content[place] ^= 0x20
        damaged.write_bytes(content)
        content[place] ^= 0x20
        with pytest.raises(ArchiveError):
            check_members(damaged)


def test_a_truncated_archive_is_refused(archive, tmp_path):
    content = archive.read_bytes()
    for end in range(0, len(content), len(content) // 20):
        (tmp_path / "cut.mar").write_bytes(content[:end])
        with pytest.raises(ArchiveError):
            check_members(tmp_path / "cut.mar")


def test_a_stranger_among_the_members_is_refused(archive, tmp_path):
    copy = tmp_path / "more.mar"
    shutil.copy(archive, copy)
    with zipfile.ZipFile(copy, "a") as opened:
        opened.writestr("sitecustomize.py", "import os")
    with pytest.raises(ArchiveError, match=r"sitecustomize.py is not recorded"):
        check_members(copy)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil"])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.mar", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(ArchiveError, match="leaves the folder"):
        unpack(tmp_path / "x.mar", tmp_path / "out")


def test_links_and_bombs_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.mar", "w", zipfile.ZIP_DEFLATED) as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
        archive.writestr("bomb", b"\0" * 3_000_000)
    with pytest.raises(ArchiveError, match=r"'link' is a link; 'bomb' expands"):
        unpack(tmp_path / "x.mar", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip at all"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "x.mar").write_bytes(content)
    with pytest.raises(ArchiveError):
        summarise(tmp_path / "x.mar")


def test_an_archive_says_what_it_is_made_of_in_cyclonedx(archive):
    with zipfile.ZipFile(archive) as opened:
        text, graph = opened.read("sbom.cdx.json").decode(), opened.read("model.onnx")
    faults = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert faults is None
    bom = json.loads(text)
    model = bom["metadata"]["component"]
    assert (model["name"], model["version"]) == ("circle", "1.0.0")
    assert model["hashes"][0]["content"] == hashlib.sha256(graph).hexdigest()
    names = {component["name"] for component in bom["components"]}
    assert {"numpy", "onnxruntime", "msgspec"} <= names
    assert set(bom["dependencies"][0]["dependsOn"]) == {component["bom-ref"] for component in bom["components"]}
    bom["components"][0]["type"] = "unheard of"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is not None
