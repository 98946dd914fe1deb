"""Fixtures of the tests of the gateway and of downloads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnxserve.gateway import Model, Roles
from onnxserve.gateway.config import Auth
from onnxserve.locations.cache import Cache
from onnxserve.locations.fetch import Access
from tests.helpers.gateway import STABLE, Client, Shared, client_of, config, gateway_of
from tests.helpers.upstream import Upstream, listening

LABELS = Roles({name: Model({"1.0": "a" * 64, "2.0": "b" * 64}, "1.0") for name in ("demo", "other")})
Open = Callable[..., Client]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with listening(Upstream()) as server:
        yield server


@pytest.fixture(scope="module")
def module_gateway(tmp_path_factory) -> Iterator[Shared]:
    with listening(Upstream()) as server:
        gateway = gateway_of(config(), tmp_path_factory.mktemp("gateway"), server.port)
        with client_of(gateway, Roles({"demo": STABLE})) as client:
            yield Shared(client, server)


@pytest.fixture
def shared(module_gateway: Shared) -> Shared:
    """For tests that change nothing of the gateway; the server behaves as at first."""
    module_gateway.upstream.forget()
    return module_gateway


@pytest.fixture
def client(request, upstream, tmp_path) -> Iterator[Client]:
    tables = getattr(request, "param", {})
    with client_of(gateway_of(config(**tables), tmp_path, upstream.port), Roles({"demo": STABLE})) as client:
        yield client


@pytest.fixture
def open_gateway(upstream, tmp_path) -> Iterator[Open]:
    """Start a gateway that wants keys from a file, with other tables of its own."""
    with contextlib.ExitStack() as stack:

        def begin(**tables: Any) -> Client:
            auth = tables.pop("auth", Auth(required=True))
            tables["auth"] = msgspec.structs.replace(auth, keys=str(tmp_path / "keys.json"))
            return stack.enter_context(client_of(gateway_of(config(**tables), tmp_path, upstream.port), LABELS))

        yield begin


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def access(tmp_path) -> Access:
    return Access(Cache(tmp_path / "cache"), say=lambda _: None)
