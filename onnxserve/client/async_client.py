"""The client that doesn't block: what `Client` does, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, overload

import httpx

from onnxserve.errors import RowError

from . import grpc_channel
from .calls import Calls
from .exchange import GRPC, Incoming, Outgoing, Steps, run_async
from .http_exchange import incoming, limits, no_answer, timeout
from .options import Options
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        if self._channel is not None:
            await self._channel.close()

    @overload
    def model(
        self,
        name: str,
        *,
        version: str = "",
        parameters: Mapping[str, Any] | None = None,
        rows_per_request: int | None = None,
    ) -> AsyncModelClient[Prediction]: ...

    @overload
    def model(
        self,
        name: str,
        as_type: type[P],
        *,
        version: str = "",
        parameters: Mapping[str, Any] | None = None,
        rows_per_request: int | None = None,
    ) -> AsyncModelClient[P]: ...

    def model(
        self,
        name: str,
        as_type: type[Any] | None = None,
        *,
        version: str = "",
        parameters: Mapping[str, Any] | None = None,
        rows_per_request: int | None = None,
    ) -> AsyncModelClient[Any]:
        """Return a client of one model, as `Client.model` does."""
        calls = Calls[Any].of(self.settings, name, as_type, version, parameters, rows_per_request)
        return AsyncModelClient(calls, self.run)

    async def predict(self, model: str, rows: Rows, *, timeout_s: float | None = None) -> list[Prediction | RowError]:
        """Return a prediction, or the error in its place, for each row, in order, as `Client.predict` does."""
        return await self.model(model).predict(rows, timeout_s=timeout_s)

    def stream(self, model: str, rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Prediction | RowError]:
        """Yield a prediction or an error for each row, in order, as `Client.stream` does."""
        return self.model(model).stream(rows)

    async def infer(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Return the graph's outputs for its inputs, by name, shapes (rows, ...), as `Client.infer` does."""
        return await self.model(model).infer(inputs, outputs)

    async def run(self, steps: Steps[T]) -> T:
        """Do the steps of a call."""
        return await run_async(steps, self._send, asyncio.sleep)

    async def _send(self, outgoing: Outgoing) -> Incoming:
        if outgoing.method == GRPC:
            return await self._send_call(outgoing)
        try:
            async with asyncio.timeout(outgoing.timeout_s):  # httpx limits only each read
                return incoming(
                    await self._http.request(
                        outgoing.method,
                        outgoing.path,
                        content=outgoing.body,
                        headers=dict(outgoing.headers),
                        timeout=timeout(outgoing),
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

    def __init__(self, calls: Calls[P], run: Callable[[Steps[Any]], Awaitable[Any]]) -> None:
        self._calls = calls
        self._run = run

    async def predict(self, rows: Rows, *, timeout_s: float | None = None) -> list[P | RowError]:
        """Return a prediction or a RowError for each row, as `ModelClient.predict` does."""
        calls = self._calls
        answers: list[P | RowError] = await self._run(
            calls.predictions(rows, calls.deadline(timeout_s), calls.request_size())
        )
        return answers

    async def predict_row(self, row: Any, *, timeout_s: float | None = None) -> P:
        """Return the prediction of one row; raises RowError, or the errors of `predict`."""
        prediction: P = await self._run(self._calls.prediction(row, self._calls.deadline(timeout_s)))
        return prediction

    def stream(self, rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[P | RowError]:
        """Yield a prediction or a RowError for each row, in order, as `ModelClient.stream` does."""
        calls, settings = self._calls, self._calls.settings
        size = calls.request_size()

        async def predict(part: Part) -> list[P | RowError]:
            first_row, own = part
            answers: list[P | RowError] = await self._run(calls.predictions(own, calls.deadline(None), size, first_row))
            return answers

        return async_stream(rows, predict, settings.rows_per_request, settings.concurrency)

    async def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] = (), *, timeout_s: float | None = None
    ) -> dict[str, Array]:
        """Return outputs for the graph's inputs, by name, shapes (rows, ...), as `ModelClient.infer` does."""
        calls = self._calls
        arrays: dict[str, Array] = await self._run(calls.outputs(inputs, outputs, calls.deadline(timeout_s)))
        return arrays
