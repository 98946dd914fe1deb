"""A canonical archive is the same for whoever reads its directory and for whoever reads it from its beginning."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxserve.archive import check_content, open_archive, write_archive
from onnxserve.errors import ArchiveError
from tests.helpers.attacks.archives import HOSTILE, LOCAL, local_member, rezip


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A small archive as we write them."""
    path: Path = tmp_path_factory.mktemp("good") / "good-1.0.0.mar"
    members = {
        "service.py": b"class Good: pass\n" * 20,
        "golden.json": b"{}" * 50,
        "handlers_x/base.py": b"# base\n" * 9,
    }
    write_archive(path, members, {"model": {"modelName": "good", "modelVersion": "1.0.0", "handler": "service.py"}})
    return path


def in_sequence(content: bytes) -> dict[str, bytes]:
    """What a reader of local headers finds, as Java's ZipInputStream; a later member replaces an earlier one."""
    members, place = {}, 0
    while content[place : place + 4] == b"PK\3\4":
        _, _, _, method, _, _, _, packed, _, name_bytes, extra_bytes = LOCAL.unpack_from(content, place)
        begin = place + LOCAL.size + name_bytes + extra_bytes
        name = content[place + LOCAL.size : place + LOCAL.size + name_bytes].decode()
        data, place = content[begin : begin + packed], begin + packed
        members[name] = data if method == 0 else zlib.decompress(data, -zlib.MAX_WBITS)
    return members


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_with_the_reason(good, tmp_path, kind):
    make, reason = HOSTILE[kind]
    path = tmp_path / f"{kind}.mar"
    path.write_bytes(make(good.read_bytes()))
    with pytest.raises(ArchiveError, match=reason):
        check_content(path)


def test_a_second_header_is_seen_by_whoever_reads_in_sequence_and_by_nobody_else(good):
    forged = HOSTILE["second-header"][0](good.read_bytes())
    with zipfile.ZipFile(io.BytesIO(forged)) as archive:
        assert b"Good" in archive.read("service.py")
    assert b"EVIL" in in_sequence(forged)["service.py"]


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_of_others_packed_or_not_is_canonical(good, tmp_path, packed):
    path = tmp_path / "foreign.mar"
    path.write_bytes(rezip(good.read_bytes(), packed=packed, without=frozenset({"digests.json"})))
    assert check_content(path) == 0


def test_sizes_of_64_bits_are_read_and_a_field_that_contradicts_the_header_is_refused(tmp_path):
    path = tmp_path / "wide.mar"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as member:
        member.write(b"wide")
    with open_archive(path) as archive:
        assert archive.read("a.txt") == b"wide"
    field = b"\1\0\x10\0" + (1).to_bytes(8, "little") * 2
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"wide")
    content = path.read_bytes()
    begin = content.index(b"PK\1\2")
    forged = local_member("a.txt", b"wide", extra=field)
    directory = content[begin:-22] + content[-22:-6] + len(forged).to_bytes(4, "little") + content[-2:]
    path.write_bytes(forged + directory)
    with pytest.raises(ArchiveError, match="described differently"):
        open_archive(path)


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_accepted_reads_the_same_in_sequence_and_by_the_directory(data, good, tmp_path):
    content = bytearray(rezip(good.read_bytes(), packed=data.draw(st.booleans()), without=frozenset({"digests.json"})))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "any.mar"
    path.write_bytes(content)
    try:
        check_content(path)
    except ArchiveError:
        return
    with zipfile.ZipFile(path) as archive:
        assert in_sequence(bytes(content)) == {name: archive.read(name) for name in archive.namelist()}
