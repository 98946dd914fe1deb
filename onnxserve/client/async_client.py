"""The client that doesn't block: what `Client` does, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, overload

import httpx

from onnxserve.errors import RowError

from . import grpc_channel
from .calls import Calls
from .exchange import GRPC, Incoming, Outgoing, Steps, run_async
from .http_exchange import TimeLeft, incoming, limits, no_answer
from .options import ModelOptions, Options
from .predictions import Prediction
from .rows import Array, Rows
from .settings import Settings
from .stream import Part, async_stream

P = TypeVar("P")
T = TypeVar("T")


class AsyncClient:
    """A client of a gateway for asyncio, with the settings of `Client`; use it in one event loop."""

    def __init__(
        self, url: str = Settings.url, *, transport: httpx.AsyncBaseTransport | None = None, **options: Unpack[Options]
    ) -> None:
        self.settings = Settings(url=url, **options)
        address, pool = self.settings.address, limits(self.settings)
        path = str(address.path) if address.path else None
        transport = transport or httpx.AsyncHTTPTransport(
            uds=path, verify=self.settings.trust(), limits=pool, trust_env=False
        )
        self._http = httpx.AsyncClient(base_url=address.url, transport=transport, trust_env=False)
        self._channel: Any = None
        self._streaming = set[asyncio.Task[Any]]()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel the requests of streams that weren't read to their end, and close all connections."""
        left = [*self._streaming]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._http.aclose()
        if self._channel is not None:
            await self._channel.close()

    @overload
    def model(self, name: str, **options: Unpack[ModelOptions]) -> AsyncModelClient[Prediction]: ...

    @overload
    def model(self, name: str, as_type: type[P], **options: Unpack[ModelOptions]) -> AsyncModelClient[P]: ...

    def model(
        self, name: str, as_type: type[Any] | None = None, **options: Unpack[ModelOptions]
    ) -> AsyncModelClient[Any]:
        """Return a client of one model, as `Client.model` does."""
        calls = Calls[Any].of(self.settings, name, as_type, **options)
        return AsyncModelClient(calls, self)

    async def predict(self, model: str, rows: Rows, *, timeout_s: float | None = None) -> list[Prediction | RowError]:
        """Return a prediction, or the error in its place, for each row, in order, as `Client.predict` does."""
        return await self.model(model).predict(rows, timeout_s=timeout_s)

    def stream(self, model: str, rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Prediction | RowError]:
        """Yield a prediction or an error for each row, in order, as `Client.stream` does.

        `aclose` cancels the requests under way.
        """
        return self.model(model).stream(rows)

    async def infer(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Return the graph's outputs for its inputs, by name, shapes (rows, ...), as `Client.infer` does."""
        return await self.model(model).infer(inputs, outputs)

    async def run(self, steps: Steps[T]) -> T:
        """Do the steps of a call."""
        return await run_async(steps, self._send, asyncio.sleep)

    def begin(self, answers: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a request of a stream, which `close` cancels."""
        task = asyncio.create_task(answers)
        self._streaming.add(task)
        task.add_done_callback(self._streaming.discard)
        return task

    async def _send(self, outgoing: Outgoing) -> Incoming:
        if outgoing.method == GRPC:
            return await self._send_call(outgoing)
        try:
            async with asyncio.timeout(outgoing.timeout_s):  # exact, where httpx limits each phase
                return incoming(
                    await self._http.request(
                        outgoing.method,
                        outgoing.path,
                        content=outgoing.body,
                        headers=dict(outgoing.headers),
                        extensions={"timeout": TimeLeft(outgoing.timeout_s)},
                    )
                )
        except (httpx.RequestError, httpx.InvalidURL, TimeoutError) as error:
            return no_answer(error)

    async def _send_call(self, outgoing: Outgoing) -> Incoming:
        grpc = grpc_channel.library()
        if self._channel is None:  # it belongs to the running loop, which there may not be when a client is made
            self._channel = grpc_channel.open_channel(self.settings, grpc.aio)
        call = grpc_channel.method_of(self._channel)
        try:
            return Incoming(200, await call(outgoing.body, **grpc_channel.call_options(outgoing)))
        except grpc.RpcError as error:
            return grpc_channel.refusal(error)


class AsyncModelClient(Generic[P]):
    """A client of one model for asyncio; `AsyncClient.model` makes it."""

    def __init__(self, calls: Calls[P], client: AsyncClient) -> None:
        self._calls = calls
        self._client = client

    async def predict(self, rows: Rows, *, timeout_s: float | None = None) -> list[P | RowError]:
        """Return a prediction or a RowError for each row, as `ModelClient.predict` does."""
        calls = self._calls
        return await self._client.run(calls.predictions(rows, calls.deadline(timeout_s), calls.request_size()))

    async def predict_row(self, row: Any, *, timeout_s: float | None = None) -> P:
        """Return the prediction of one row; raises RowError, or the errors of `predict`."""
        return await self._client.run(self._calls.prediction(row, self._calls.deadline(timeout_s)))

    def stream(self, rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[P | RowError]:
        """Yield a prediction or a RowError for each row, in order, as `ModelClient.stream` does.

        `aclose`, as of `contextlib.aclosing`, cancels the requests under way; so does the end of the client.
        """
        calls, settings, client = self._calls, self._calls.settings, self._client
        size = calls.request_size()

        def begin(part: Part) -> asyncio.Task[list[P | RowError]]:
            first_row, own = part
            return client.begin(client.run(calls.predictions(own, calls.deadline(None), size, first_row)))

        return async_stream(rows, begin, settings.rows_per_request, settings.concurrency)

    async def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] = (), *, timeout_s: float | None = None
    ) -> dict[str, Array]:
        """Return outputs for the graph's inputs, by name, shapes (rows, ...), as `ModelClient.infer` does."""
        calls = self._calls
        return await self._client.run(calls.outputs(inputs, outputs, calls.deadline(timeout_s)))
