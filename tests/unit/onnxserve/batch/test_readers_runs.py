"""Lines that stay together are the records that they would be one by one."""

from __future__ import annotations

import io
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve.batch.part import Cut
from onnxserve.batch.readers import lines, table_records
from onnxserve.batch.readers.jsonl import BLANK
from onnxserve.batch.readers.lines import Block, Record
from onnxserve.batch.readers.runs import Lines, cuts, groups, lines_of

TEXTS = ("", " ", "\r", "\t", " \r", "a,1", "b,2", "c,3\r", " d,4", '"e', 'f"', '"g\nh",5', '"i""j",6')


def written(texts: list[str], *, ended: bool) -> bytes:
    return "\n".join(texts).encode() + (b"\n" if ended else b"")


def one_by_one(content: bytes) -> list[Record]:
    return list(table_records.records(lines.lines(io.BytesIO(content), 0, 1)))


@given(
    st.lists(st.sampled_from(TEXTS), max_size=20).flatmap(
        lambda texts: st.builds(written, st.just(texts), ended=st.booleans())
    ),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_any_table_in_blocks_has_the_records_of_its_lines(content, block, size, most):
    expected = one_by_one(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        runs = list(table_records.runs(lines.blocks(io.BytesIO(content), 0, 1)))
    assert [record for run in runs for record in run.records()] == expected
    read = list(groups(runs, size, most))
    assert list(chain.from_iterable(read)) == expected[:most]
    assert all(len(group) == size for group in read[:-1])
    for group in read:
        assert [group[place] for place in range(len(group))] == list(group)
        assert group.content == b"\n".join(record.text or b"" for record in group)
    pieces = [expected[start : start + size] for start in range(0, len(expected), size)]
    assert list(cuts(runs, size)) == [
        Cut(number * size, len(piece), piece[0].start, piece[-1].stop, piece[0].line)
        for number, piece in enumerate(pieces)
    ]


def test_lines_without_quotes_stay_together():
    content = b"a,1\nb,2\r\nc,3\r\nd,4"
    run, end = table_records.runs(lines.blocks(io.BytesIO(content), 0, 1))
    assert isinstance(run, Lines)
    assert run.content == b"a,1\nb,2\nc,3"
    assert run.record(1) == Record(2, 4, 9, b"b,2")
    first, rest = run.split(2)
    assert [record.text for record in rest.records()] == [b"c,3"]
    assert (first.stop, rest.start, rest.stop, rest.line) == (9, 9, 14, 3)
    assert list(end.records()) == [Record(4, 14, len(content), b"d,4")]


@pytest.mark.parametrize("text", [b"", b"a\n", b"\na", b"a\n\nb", b"a\n\tb", b"\x0ca", None])
def test_a_block_with_a_line_that_may_be_empty_is_looked_at_line_by_line(text):
    assert lines_of(Block(1, 0, 9, text), BLANK) is None


def test_a_line_too_long_to_keep_is_between_the_blocks_of_others(monkeypatch):
    monkeypatch.setattr(lines, "MOST", 10)
    monkeypatch.setattr(lines, "BLOCK", 6)
    content = b"ab\ncd\n" + b"x" * 30 + b"\nef\ngh"
    read = list(lines.blocks(io.BytesIO(content), 0, 1))
    assert [(block.line, block.text) for block in read if block.text is None] == [(3, None)]
    assert [record.text for block in read for record in block.lines()] == [b"ab", b"cd", None, b"ef", b"gh"]
    assert [record.line for block in read for record in block.lines()] == [1, 2, 3, 4, 5]
