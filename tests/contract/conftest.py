"""Fixtures of the tests of the edge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onnxserve.edge import Edge, Labels
from onnxserve.edge.processes import start
from tests.door import STABLE, Client, intent
from tests.upstream import Upstream, listening


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with listening(Upstream()) as one:
        yield one


@pytest.fixture
def client(request, upstream, tmp_path) -> Iterator[Client]:
    tables = getattr(request, "param", {})
    edge = Edge(intent(**tables), tmp_path / "edge", upstream.port, upstream.port)
    door = start(edge, Labels({"demo": STABLE}))
    made = Client(door)
    try:
        yield made
    finally:
        made.http.close()
        door.stop()
