"""Calls to the management API whose answers a real TorchServe gives only now and then."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from onnxserve.errors import ServerError
from onnxserve.torchserve import Management
from onnxserve.torchserve import management as client_module


@pytest.fixture(autouse=True)
def no_pause(monkeypatch) -> None:
    monkeypatch.setattr(client_module, "POLL_S", 0.0)


def answering(*statuses: int) -> Management:
    """A server that answers one DELETE after the other so, as TorchServe 0.12.0 words it."""
    rest: Iterator[int] = iter(statuses)

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("DELETE", "/models/demo/1.0.0")
        status = next(rest)
        kind = {500: "ConcurrentModificationException", 404: "ModelNotFoundException"}.get(status, "")
        return httpx.Response(status, json={"code": status, "type": kind, "message": kind})

    return Management("http://fake", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("statuses", [(200,), (500, 200), (500, 404), (500, 500, 404)])
def test_a_version_is_removed_though_torchserve_stumbles_over_its_own_threads(statuses):
    management = answering(*statuses, 418)
    management.unregister("demo", "1.0.0")
    with pytest.raises(ServerError, match="418"):  # as many questions as that, and no more
        management.unregister("demo", "1.0.0")


def test_a_version_that_was_never_there_is_an_error():
    with pytest.raises(ServerError, match="404: ModelNotFound"):
        answering(404).unregister("demo", "1.0.0")


def test_a_server_that_always_fails_is_an_error():
    with pytest.raises(ServerError, match="500: ConcurrentMod"):
        answering(500, 500, 500, 500).unregister("demo", "1.0.0")
