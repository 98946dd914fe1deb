"""Fixtures of the tests of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onnxserve.gateway import Labels
from tests.gateway import STABLE, Client, Shared, client_of, config, gateway_of
from tests.upstream import Upstream, listening


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with listening(Upstream()) as server:
        yield server


@pytest.fixture(scope="module")
def module_gateway(tmp_path_factory) -> Iterator[Shared]:
    with listening(Upstream()) as server:
        gateway = gateway_of(config(), tmp_path_factory.mktemp("gateway"), server.port)
        with client_of(gateway, Labels({"demo": STABLE})) as made:
            yield Shared(made, server)


@pytest.fixture
def shared(module_gateway: Shared) -> Shared:
    """For tests that change nothing of the gateway; the server behaves as at first."""
    module_gateway.upstream.forget()
    return module_gateway


@pytest.fixture
def client(request, upstream, tmp_path) -> Iterator[Client]:
    tables = getattr(request, "param", {})
    with client_of(gateway_of(config(**tables), tmp_path, upstream.port), Labels({"demo": STABLE})) as made:
        yield made
