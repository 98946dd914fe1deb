"""A batch is read as it was sent, in whatever pieces it arrives."""

from __future__ import annotations

import pytest

from fastworker.fields import BadFrame
from fastworker.frames import Frames, FrontendGone
from fastworker.messages import Request
from tests.helpers.frontend import END, batch_frame, integer, request, text

BODY = "application/json"
SENT = [
    ("first", {"Content-Type": BODY, "x-name": "é€𝄞"}, [("body", BODY, b'{"a": 1}')]),
    ("second", {}, []),
    ("third", {"a": ""}, [("data", "", b"\xff\xff\xff\xff"), ("é", "text/plain", b""), ("data", "x", b"y" * 300)]),
]


class Pieces:
    """A connection that gives `size` bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = content, size

    def recv_into(self, target: memoryview) -> int:
        piece, self._content = self._content[: self._size], self._content[self._size :]
        target[: len(piece)] = piece
        return len(piece)


def frames(content: bytes, size: int) -> Frames:
    return Frames(Pieces(content, size))  # type: ignore[arg-type]  # all that is used of a socket


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 100, 10_000])
def test_batches_that_arrive_in_pieces_are_what_was_sent(size):
    reader = frames(batch_frame(*(request(*sent) for sent in SENT)) + batch_frame(request(*SENT[0])), size)
    for expected in (SENT, SENT[:1]):
        batch = reader.read()
        assert isinstance(batch, list)
        assert all(isinstance(read, Request) for read in batch)
        assert [(read.id, read.headers, read.parameters) for read in batch] == [tuple(sent) for sent in expected]
    with pytest.raises(FrontendGone):
        reader.read()


HEAD = b"I" + text("id") + END


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"I" + integer(-7), "a field of -7 bytes"),
        (b"I" + integer(2**31 - 1), "a field of 2147483647 bytes"),
        (b"I" + text(b"\xff") + END, "not UTF-8"),
        (HEAD + integer(-9), "a field of -9 bytes"),
        (HEAD + integer(2**31 - 1), "a field of 2147483647 bytes"),
        (HEAD + text("name") + END, "a list ended"),
        (HEAD + text("name") + integer(-100), "a field of -100 bytes"),
        (HEAD + text("name") + text("kind") + END, "a list ended"),
        (HEAD + text("name") + text("kind") + integer(2**30 + 1), "a field of 1073741825 bytes"),
        (HEAD + text(b"\xc3") + text("kind") + text("value"), "not UTF-8"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_bytes_that_are_no_batch_are_refused_with_a_reason(content, reason, size):
    with pytest.raises(BadFrame, match=reason):
        frames(content, size).read()


def test_a_batch_that_ends_early_is_waited_for():
    content = batch_frame(*(request(*sent) for sent in SENT))
    for length in range(1, len(content)):
        with pytest.raises(FrontendGone):
            frames(content[:length], 10_000).read()
