"""Fixtures of the tests of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onnxserve.gateway import Labels
from tests.gateway import STABLE, Client, client_of, config, gateway_of
from tests.upstream import Upstream, listening


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with listening(Upstream()) as server:
        yield server


@pytest.fixture
def client(request, upstream, tmp_path) -> Iterator[Client]:
    tables = getattr(request, "param", {})
    with client_of(gateway_of(config(**tables), tmp_path, upstream.port), Labels({"demo": STABLE})) as made:
        yield made
