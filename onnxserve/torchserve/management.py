"""Calls to TorchServe's management API (https://pytorch.org/serve/management_api.html)."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from onnxserve.client import Address, parse_address
from onnxserve.errors import ServerError

from .model_version import ModelVersion, Queue, version_key

if TYPE_CHECKING:
    import httpx

POLL_S = 0.2
RACES = 3  # retries after TorchServe's race


class Management:
    """The management API of one server.

    Long calls are asynchronous, since a synchronous one blocks inference. Each method raises ServerError when
    TorchServe doesn't answer or answers with an error.
    """

    def __init__(
        self, address: Address | str, timeout_s: float = 10.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.address = parse_address(address) if isinstance(address, str) else address
        self._timeout_s = timeout_s
        self._transport = transport

    def models(self) -> list[str]:
        """Return the names of all registered models."""
        names: list[str] = []
        token: str | None = None
        while True:
            page = self._call("GET", "/models", {"limit": 100} | ({"next_page_token": token} if token else {}))
            names += [entry["modelName"] for entry in page["models"]]
            token = page.get("nextPageToken")
            if not token:
                return sorted(set(names))

    def versions(self, name: str) -> list[ModelVersion]:
        """Return all versions of a model, oldest first."""
        versions = msgspec.convert(self._call("GET", f"/models/{name}/all"), list[ModelVersion])
        return sorted(versions, key=lambda version: version_key(version.model_version))

    def queues(self, name: str) -> dict[str, Queue]:
        """Return the queue of each version; none for a model that isn't registered.

        A model in the store may have a role without being loaded.
        """
        path = f"/models/{name}/all"
        response = self._answer("GET", path, None, self._timeout_s)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return {}
        versions = msgspec.convert(self._document("GET", path, response), list[ModelVersion])
        return {version.model_version: version.job_queue_status for version in versions}

    def default(self, name: str) -> str:
        """Return the version that answers when a request names none."""
        [version] = msgspec.convert(self._call("GET", f"/models/{name}"), list[ModelVersion])
        return version.model_version

    def describe(self, name: str, version: str, timeout_s: float) -> int:
        """Ask a worker to describe its model; return the HTTP status of the answer that comes within `timeout_s`."""
        path = f"/models/{name}/{version}"
        return self._answer("GET", path, {"customized": "true"}, timeout_s).status_code

    def register(self, file: str) -> None:
        """Register an archive of the model store; the archive configures its workers and batches."""
        self._call("POST", "/models", {"url": file, "synchronous": "false"})

    def set_default(self, name: str, version: str) -> None:
        """Make `version` the one that answers requests which name none."""
        self._call("PUT", f"/models/{name}/{version}/set-default")

    def scale(self, name: str, version: str, workers: int) -> None:
        """Ask for a number of workers; `wait_ready` waits for the first one."""
        parameters = {"min_worker": workers, "max_worker": workers, "synchronous": "false"}
        self._call("PUT", f"/models/{name}/{version}", parameters)

    def unregister(self, name: str, version: str) -> None:
        """Remove a version at once; the caller must have drained it.

        TorchServe changes lists while another thread of it reads them. It then answers 500
        (ConcurrentModificationException), with the version removed or not, so the call is repeated.
        """
        path = f"/models/{name}/{version}"
        response = self._answer("DELETE", path, None, self._timeout_s)
        for _ in range(RACES):
            if response.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
                break
            time.sleep(POLL_S)
            response = self._answer("DELETE", path, None, self._timeout_s)
            if response.status_code == HTTPStatus.NOT_FOUND:
                return
        self._document("DELETE", path, response)

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float) -> None:
        """Poll until `condition` returns True; ServerError, which names `what`, after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{what}: not within {timeout_s:g} s", where=str(self.address), fix="read the server's log"
                )
            time.sleep(POLL_S)

    def wait_ready(self, name: str, version: str, timeout_s: float) -> None:
        """Wait until a worker of one version has loaded and proven its model."""
        self.wait(f"{name} {version} ready", lambda: self._ready(name, version), timeout_s)

    def _ready(self, name: str, version: str) -> bool:
        return any(state.model_version == version and state.ready for state in self.versions(name))

    def _call(self, method: str, path: str, parameters: dict[str, Any] | None = None) -> Any:
        return self._document(method, path, self._answer(method, path, parameters, self._timeout_s))

    def _document(self, method: str, path: str, response: httpx.Response) -> Any:
        try:
            document = response.json()
        except ValueError:
            document = {}
        if response.is_error:
            reason = document.get("message", response.text) if isinstance(document, dict) else response.text
            raise ServerError(f"{method} {path} answers {response.status_code}: {reason}", where=str(self.address))
        return document

    def _answer(self, method: str, path: str, parameters: dict[str, Any] | None, timeout_s: float) -> httpx.Response:
        import httpx  # here for a quick start, as in `Address`

        # One connection per call: polls are rare, and no connection stays open.
        transport = self._transport or self.address.transport()
        client = httpx.Client(base_url=self.address.url, timeout=timeout_s, transport=transport, trust_env=False)
        try:
            with client:
                return client.request(method, path, params=parameters)
        except (httpx.HTTPError, OSError) as error:
            raise ServerError(
                f"no answer from the management API: {error or type(error).__name__}",
                where=str(self.address),
                fix="start the server with `onnxserve serve`, or name the port of a plain one with --management-port",
            ) from error
