"""Archives made to harm: whatever the bytes, they are refused as such or stay in their folder."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onnxserve.archive import unpack
from onnxserve.errors import ArchiveError

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PIECES = ["a", "b", "..", ".", "", "a.py", "MAR-INF", "\x00", "con", "ü" * 90, "\\", "c:", "~", "-rf", "x" * 300]
names = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("/".join) | st.text(min_size=1, max_size=40)
kinds = st.sampled_from([stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, 0])
members = st.lists(st.tuples(names, kinds, st.binary(max_size=40)), min_size=1, max_size=6)


def opened(path: Path, folder: Path) -> bool:
    """Whether it was unpacked; nothing but files may lie in `folder` then, and nothing beside it."""
    before = set(folder.parent.iterdir())
    try:
        unpack(path, folder)
    except ArchiveError:
        return False
    finally:
        assert set(folder.parent.iterdir()) == before
        for member in folder.rglob("*"):
            assert member.is_file() or member.is_dir()
            assert not member.is_symlink()
    return True


def fresh(folder: Path) -> Path:
    """An empty folder in a folder of its own."""
    number = len(list(folder.iterdir()))
    target = folder / str(number) / "unpacked"
    target.mkdir(parents=True)
    return target


@given(members=members)
@example(members=[("a", stat.S_IFREG, b"x"), ("a/b", stat.S_IFREG, b"y")])
@example(members=[("x" * 300, stat.S_IFREG, b"")])
@example(members=[("/etc/passwd", stat.S_IFREG, b"")])
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
def test_members_of_any_name_and_kind_stay_in_the_folder_or_are_refused(members, tmp_path_factory):
    folder = fresh(tmp_path_factory.mktemp("hostile"))
    path = folder.parent.parent / "hostile.mar"
    with contextlib.suppress(UserWarning, ValueError), zipfile.ZipFile(path, "w") as archive:
        for name, kind, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.external_attr = name, (kind | 0o777) << 16
            archive.writestr(info, content)
    opened(path, folder)


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
def test_damaged_bytes_are_refused_in_our_words_or_do_no_harm(data, archive, tmp_path_factory):
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        # The directory at the end is where a zip says what it is.
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(max(0, len(content) - 3000), len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    folder = fresh(tmp_path_factory.mktemp("damaged"))
    path = folder.parent.parent / "damaged.mar"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    opened(path, folder)
