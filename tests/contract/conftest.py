"""Fixtures of the tests of the edge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onnxserve.edge import Edge, Labels
from tests.door import STABLE, Client, client_of, intent
from tests.upstream import Upstream, listening


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with listening(Upstream()) as one:
        yield one


@pytest.fixture
def client(request, upstream, tmp_path) -> Iterator[Client]:
    tables = getattr(request, "param", {})
    edge = Edge(intent(**tables), tmp_path / "edge", upstream.port, upstream.port)
    with client_of(edge, Labels({"demo": STABLE})) as made:
        yield made
