"""A stream of rows in, a stream of predictions out, with a bounded number of requests under way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from .rows import refuse_single_row
from .thread import in_thread

T = TypeVar("T")
Part = tuple[int, list[Any]]  # the number of the first row, and the rows


def parts_of(rows: Iterable[Any], count: int) -> Iterator[Part]:
    """Yield the rows in lists of `count`, the last may be shorter."""
    iterator, first = iter(rows), 0
    while part := list(islice(iterator, count)):
        yield first, part
        first += len(part)


def stream(
    rows: Iterable[Any], predict: Callable[[Part], list[T]], rows_per_request: int, concurrency: int
) -> Generator[T]:
    """Yield the predictions in the order of the rows; `predict` runs in `concurrency` threads.

    Rows are taken only as answers are: at most `concurrency` lists of rows and their answers are in memory. Whoever
    leaves the stream, also by Ctrl-C, waits for no answer that is still to come.
    """
    refuse_single_row(rows)
    under_way = deque[Future[list[T]]]()
    for part in parts_of(rows, rows_per_request):
        if len(under_way) == concurrency:
            yield from under_way.popleft().result()
        under_way.append(in_thread(partial(predict, part), "predict"))
    while under_way:
        yield from under_way.popleft().result()


async def async_parts_of(rows: Iterable[Any] | AsyncIterable[Any], count: int) -> AsyncGenerator[Part]:
    """Do what `parts_of` does, for rows that may come asynchronously."""
    if isinstance(rows, Iterable):
        for part in parts_of(rows, count):
            yield part
        return
    first, pending = 0, list[Any]()
    async for row in rows:
        pending.append(row)
        if len(pending) == count:
            yield first, pending
            first, pending = first + count, []
    if pending:
        yield first, pending


async def async_stream(
    rows: Iterable[Any] | AsyncIterable[Any],
    begin: Callable[[Part], asyncio.Task[list[T]]],
    rows_per_request: int,
    concurrency: int,
) -> AsyncGenerator[T]:
    """Do what `stream` does in tasks of the running loop, which `begin` makes; the end of the stream cancels them."""
    refuse_single_row(rows)
    under_way = deque[asyncio.Task[list[T]]]()
    try:
        async for part in async_parts_of(rows, rows_per_request):
            if len(under_way) == concurrency:
                for prediction in await answers_of(under_way.popleft()):
                    yield prediction
            under_way.append(begin(part))
        while under_way:
            for prediction in await answers_of(under_way.popleft()):
                yield prediction
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def answers_of(request: asyncio.Task[list[T]]) -> list[T]:
    """Wait for a request; RuntimeError if its client was closed, which must not look like the end of who waits."""
    try:
        return await request
    except asyncio.CancelledError:
        waiting = asyncio.current_task()
        if waiting is None or waiting.cancelling():
            raise
        raise RuntimeError("the client was closed while its stream was read") from None
