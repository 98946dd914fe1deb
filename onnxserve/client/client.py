"""The client that blocks: rows in, typed predictions out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, overload

import httpx

from onnxserve.errors import RowError

from . import grpc_channel
from .calls import OPENAPI, Calls, fetch, send
from .exchange import GRPC, Deadline, Incoming, Outgoing, Steps, run
from .http_exchange import TimeLeft, limits, no_answer, read_incoming
from .options import ModelOptions, Options
from .predictions import Prediction
from .rows import Array, Rows
from .settings import Settings
from .stream import Part, stream

P = TypeVar("P")
T = TypeVar("T")


class Client:
    """A client of a gateway, or of a TorchServe without one; its connections are kept open and shared by threads.

    `Client(url, key=..., token=..., timeout_s=...)` takes the fields of `onnxserve.client.settings.Settings`. With
    `grpc=True`, predictions are asked for over gRPC, which needs the extra `grpc`. `transport` replaces httpx's, for
    proxies and tests; proxies of the environment aren't used.
    """

    def __init__(
        self, url: str = Settings.url, *, transport: httpx.BaseTransport | None = None, **options: Unpack[Options]
    ) -> None:
        self.settings = Settings(url=url, **options)
        address, pool = self.settings.address, limits(self.settings)
        transport = transport or address.transport(verify=self.settings.trust(), limits=pool)
        self._http = httpx.Client(base_url=address.url, transport=transport, trust_env=False)
        self._channel: Any = None
        if self.settings.grpc:
            self._channel = grpc_channel.open_channel(self.settings, grpc_channel.library())
            self._call = grpc_channel.method_of(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        if self._channel is not None:
            self._channel.close()

    @overload
    def model(self, name: str, **options: Unpack[ModelOptions]) -> ModelClient[Prediction]: ...

    @overload
    def model(self, name: str, as_type: type[P], **options: Unpack[ModelOptions]) -> ModelClient[P]: ...

    def model(self, name: str, as_type: type[Any] | None = None, **options: Unpack[ModelOptions]) -> ModelClient[Any]:
        """Return a client of one model, at the version that the gateway chooses unless one is named.

        Predictions are of `as_type`, such as `Classification` or a dataclass of your own; by default of the type of
        the model's task. `parameters` go with each request, such as `{"top_k": 3}`. `rows_per_request` replaces the
        client's.
        """
        calls = Calls[Any].of(self.settings, name, as_type, **options)
        return ModelClient(calls, self)

    def predict(self, model: str, rows: Rows, *, timeout_s: float | None = None) -> list[Prediction | RowError]:
        """Return a prediction, or the error in its place, for each row: `self.model(model).predict(rows)`."""
        return self.model(model).predict(rows, timeout_s=timeout_s)

    def stream(self, model: str, rows: Iterable[Any]) -> Generator[Prediction | RowError]:
        """Yield a prediction or an error for each row, in order: `self.model(model).stream(rows)`."""
        return self.model(model).stream(rows)

    def infer(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Return the graph's outputs for its inputs, by name, shapes (rows, ...): `self.model(model).infer(...)`."""
        return self.model(model).infer(inputs, outputs)

    def openapi(self) -> bytes:
        """Return the server's OpenAPI document in JSON, which describes the rows and predictions of its models.

        Raises RequestFailed, DeadlineExceeded or Unreachable if the server doesn't send it.
        """
        ask = partial(send, self.settings, Deadline(self.settings.timeout_s))
        return self.run(fetch(OPENAPI, ask))

    def run(self, steps: Steps[T]) -> T:
        """Do the steps of a call."""
        return run(steps, self._send)

    def _send(self, outgoing: Outgoing) -> Incoming:
        if outgoing.method == GRPC:
            return self._send_call(outgoing)
        time_left = TimeLeft(outgoing.timeout_s)
        try:
            with self._http.stream(
                outgoing.method,
                outgoing.path,
                content=outgoing.body,
                headers=dict(outgoing.headers),
                extensions={"timeout": time_left},
            ) as response:
                return read_incoming(response, time_left)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return no_answer(error)

    def _send_call(self, outgoing: Outgoing) -> Incoming:
        try:
            return Incoming(200, self._call(outgoing.body, **grpc_channel.call_options(outgoing)))
        except grpc_channel.library().RpcError as error:
            return grpc_channel.refusal(error)


class ModelClient(Generic[P]):
    """A client of one model; `Client.model` makes it."""

    def __init__(self, calls: Calls[P], client: Client) -> None:
        self._calls = calls
        self._client = client

    def predict(self, rows: Rows, *, timeout_s: float | None = None) -> list[P | RowError]:
        """Return a prediction for each row, in order, or a RowError in its place.

        `rows` is a list of rows as docs/reference/requests.md has them, in which files may be bytes; or an array for
        the model's only input, shape (rows, ...), or arrays by name, which are sent in binary. As many requests are
        sent as the model's limits need, one after another; `stream` sends several at once. The whole call ends within
        `timeout_s` seconds, by default the client's. Raises RequestFailed, DeadlineExceeded or Unreachable if a request
        has no answer.
        """
        calls = self._calls
        return self._client.run(calls.predictions(rows, calls.deadline(timeout_s), calls.request_size()))

    def predict_row(self, row: Any, *, timeout_s: float | None = None) -> P:
        """Return the prediction of one row; raises RowError, or the errors of `predict`."""
        return self._client.run(self._calls.prediction(row, self._calls.deadline(timeout_s)))

    def stream(self, rows: Iterable[Any]) -> Generator[P | RowError]:
        """Yield a prediction or a RowError for each row, in order, while rows are still read.

        The client's `concurrency` requests are under way at once, and no more rows and predictions than theirs are in
        memory. Raises what `predict` raises, at the first request that fails.
        """
        calls, settings = self._calls, self._calls.settings
        size = calls.request_size()

        def predict(part: Part) -> list[P | RowError]:
            first_row, own = part
            return self._client.run(calls.predictions(own, calls.deadline(None), size, first_row))

        return stream(rows, predict, settings.rows_per_request, settings.concurrency)

    def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] = (), *, timeout_s: float | None = None
    ) -> dict[str, Array]:
        """Return outputs for the graph's inputs, by name, shapes (rows, ...), sent and returned in binary.

        `outputs` chooses among the graph's outputs and what the task adds, such as `label`; all by default. Raises
        RowError for a row that has no answer, ValueError for no rows, or the errors of `predict`.
        """
        calls = self._calls
        return self._client.run(calls.outputs(inputs, outputs, calls.deadline(timeout_s)))
