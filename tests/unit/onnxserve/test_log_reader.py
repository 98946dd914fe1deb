"""A log that is renamed, cut, damaged and behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.log_reader import LogReader


@pytest.fixture
def path(tmp_path) -> Path:
    log: Path = tmp_path / "access.log"
    return log


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)


def lines(reader: LogReader) -> list[bytes]:
    return [line for chunk in reader.read() for line in chunk.split(b"\n")]


def test_only_lines_that_come_after_the_reader_count_and_each_once(path):
    append(path, b"before\n")
    reader = LogReader(path)
    assert lines(reader) == []
    append(path, b"a\nb\n")
    assert lines(reader) == [b"a", b"b"]
    assert lines(reader) == []


def test_a_file_that_comes_later_is_read_from_its_first_line(path):
    reader = LogReader(path)
    assert lines(reader) == []
    append(path, b"a\n")
    assert lines(reader) == [b"a"]


def test_a_line_is_given_when_it_is_whole(path):
    reader = LogReader(path)
    append(path, b"a\nhal")
    assert lines(reader) == [b"a"]
    append(path, b"f")
    assert lines(reader) == []
    append(path, b"\nc\n")
    assert lines(reader) == [b"half", b"c"]


def test_a_renamed_file_is_read_to_its_end_though_its_writer_is_late(path):
    path.touch()
    reader = LogReader(path)
    append(path, b"a\n")
    old = path.rename(path.with_name("access.log.1"))
    assert lines(reader) == [b"a"]
    append(path, b"d\n")
    append(old, b"b\n")
    assert lines(reader) == [b"b"]
    append(old, b"c\n")  # from a process that hadn't opened the new file yet
    assert lines(reader) == [b"c", b"d"]
    append(path, b"e\n")
    assert lines(reader) == [b"e"]


def test_files_that_were_renamed_between_two_looks_are_read_in_their_order(path):
    path.touch()
    reader = LogReader(path)
    for line in (b"a\n", b"b\n", b"c\n"):
        append(path, line)
        for number in (2, 1, 0):
            older = path.with_name(f"access.log.{number}") if number else path
            if older.exists():
                older.rename(path.with_name(f"access.log.{number + 1}"))
    assert lines(reader) == [b"a", b"b", b"c"]
    append(path, b"d\n")
    assert lines(reader) + lines(reader) == [b"d"]


def test_a_file_that_was_removed_is_followed_by_the_oldest_that_is_left(path):
    path.touch()
    reader = LogReader(path)
    path.unlink()
    append(path.with_name("access.log.1"), b"b\n")
    append(path, b"c\n")
    assert lines(reader) + lines(reader) == [b"b", b"c"]


def test_a_line_that_a_renamed_file_never_ended_is_not_glued_to_the_new_files(path):
    reader = LogReader(path)
    append(path, b"a\nhal")
    assert lines(reader) == [b"a"]
    path.rename(path.with_name("access.log.1"))
    append(path, b"b\n")
    assert lines(reader) + lines(reader) == [b"b"]


def test_a_file_that_was_cut_goes_on_at_its_beginning(path):
    reader = LogReader(path)
    append(path, b"a\nb\n")
    assert lines(reader) == [b"a", b"b"]
    path.write_bytes(b"")
    append(path, b"c\n")
    assert lines(reader) == [b"c"]


def test_whoever_is_too_far_behind_goes_on_at_the_end_and_says_how_much_was_skipped(path):
    reader = LogReader(path, most_behind=100)
    append(path, b"x\n" * 51)
    assert lines(reader) == []
    assert reader.skipped == 51
    append(path, b"y\n" * 50)
    assert lines(reader) == [b"y"] * 50
    assert reader.skipped == 51


def test_a_line_without_end_is_not_kept(path):
    reader = LogReader(path)
    append(path, b"x" * 3 * 2**20)
    assert lines(reader) == []
    append(path, b"\nb\n")
    assert lines(reader)[-1] == b"b"
    assert len(reader._rest) == 0


def test_more_than_a_chunk_comes_in_whole_lines(path):
    reader = LogReader(path)
    append(path, b"".join(b"%099d\n" % number for number in range(30_000)))
    chunks = list(reader.read())
    assert len(chunks) > 1
    assert [int(line) for chunk in chunks for line in chunk.split(b"\n")] == list(range(30_000))
