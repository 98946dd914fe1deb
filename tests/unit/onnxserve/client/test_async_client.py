"""The client that doesn't block, against a real handler behind httpx."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import numpy as np
import pytest

from onnxserve import AsyncClient, DeadlineExceeded
from onnxserve.client.predictions import Classification
from tests.helpers.handler_transport import NO_PAUSE, HandlerTransport, labels
from tests.helpers.inference import table_handler

ROWS = [[number - 4.5, 0] for number in range(10)]
LABELS = ["no"] * 5 + ["yes"] * 5


@pytest.fixture
def server() -> HandlerTransport:
    return HandlerTransport(table_handler())


def test_the_client_that_does_not_block_answers_alike(server):
    async def calls() -> None:
        async with AsyncClient(
            "http://server", transport=server.transport(), rows_per_request=4, retry=NO_PAUSE
        ) as client:
            assert labels(await client.predict("demo", ROWS)) == LABELS
            server.first.append(httpx.Response(503, headers={"Retry-After": "0"}))
            assert (await client.model("demo", Classification).predict_row([2, 0])).label == "yes"
            arrays = await client.infer("demo", {"features": np.array(ROWS, np.float32)}, ["label"])
            assert arrays["label"].tolist() == LABELS
            assert labels([row async for row in client.stream("demo", ROWS)]) == LABELS

            async def later() -> AsyncIterator[Any]:
                for row in [*ROWS, ["red", 0]]:
                    await asyncio.sleep(0)
                    yield row

            answers = [row async for row in client.stream("demo", later())]
            assert labels(answers) == [*LABELS, "! invalid_row"]

    asyncio.run(calls())


def test_a_stream_that_does_not_block_reads_rows_only_as_it_is_read(server):
    taken: list[int] = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield [number % 2, 0]

    async def calls() -> None:
        async with AsyncClient(
            "http://server", transport=server.transport(), rows_per_request=4, concurrency=2
        ) as client:
            rows = client.stream("demo", endless())
            answers = [await anext(rows) for _ in range(20)]
            await rows.aclose()
            assert labels(answers) == ["no", "yes"] * 10

    asyncio.run(calls())
    assert len(taken) <= 20 + 4 * 3


@pytest.mark.parametrize("how", ["aclosing", "close", "break"])
def test_a_stream_that_is_left_early_cancels_its_requests(how):
    asked_rows, ended, all_ended = list[int](), list[str](), asyncio.Event()

    async def slow(_: httpx.Request) -> httpx.Response:
        asked_rows.append(1)
        if len(asked_rows) == 1:
            return httpx.Response(200, json={"predictions": [{"label": "no", "score": 1.0}]})
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            if len(ended) == len(asked_rows) - 1:
                all_ended.set()
            raise
        raise AssertionError("nobody waits so long")

    async def leave_stream() -> None:
        client = AsyncClient("http://server", transport=httpx.MockTransport(slow), rows_per_request=1, concurrency=3)
        if how == "aclosing":
            async with aclosing(client.stream("demo", ROWS)) as answers:
                await anext(answers)
        elif how == "close":
            kept = client.stream("demo", ROWS)
            await anext(kept)
            await client.close()
        else:
            async for _ in client.stream("demo", ROWS):
                break
        await asyncio.wait_for(all_ended.wait(), 5)

    asyncio.run(leave_stream())
    assert len(asked_rows) > 2
    assert ended == ["cancelled"] * (len(asked_rows) - 1)


def test_who_reads_a_stream_of_a_closed_client_is_told_so_and_one_that_is_cancelled_is_cancelled():
    requests, both_wait = list[httpx.Request](), asyncio.Event()

    async def silent(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if len(requests) == 2:
            both_wait.set()
        await asyncio.sleep(600)
        raise AssertionError("nobody waits so long")

    async def read(client: AsyncClient) -> None:
        async for _ in client.stream("demo", ROWS):
            raise AssertionError("there is no answer")

    async def outcomes() -> list[BaseException | None]:
        transport = httpx.MockTransport(silent)
        async with AsyncClient("http://server", transport=transport) as kept:
            closed = AsyncClient("http://server", transport=transport)
            readers = [asyncio.create_task(read(client)) for client in (closed, kept)]
            await asyncio.wait_for(both_wait.wait(), 5)
            await closed.close()
            readers[1].cancel()
            return await asyncio.gather(*readers, return_exceptions=True)

    closed, cancelled = asyncio.run(outcomes())
    assert isinstance(closed, RuntimeError)
    assert "the client was closed" in str(closed)
    assert isinstance(cancelled, asyncio.CancelledError)


def test_an_answer_that_comes_byte_by_byte_ends_with_the_deadline(server):
    async def dripping() -> AsyncIterator[bytes]:
        for _ in range(6000):
            yield b" "
            await asyncio.sleep(0.01)

    async def ask() -> None:
        server.first.append(httpx.Response(200, content=dripping()))
        async with AsyncClient("http://server", transport=server.transport()) as client:
            with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.2 s"):
                await client.predict("demo", ROWS[:2], timeout_s=0.2)

    asyncio.run(ask())
