"""One server with the three demo models, for the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import ROOT, Running, running


@pytest.fixture(scope="session")
def demo_archives() -> list[Path]:
    """The archives that `make export` made."""
    archives = sorted((ROOT / "model_store").glob("*-1.0.0.mar"))
    names = {archive.name.removesuffix("-1.0.0.mar") for archive in archives}
    assert names >= {"digits", "segment", "sentiment"}, "run `make export` first"
    return archives


@pytest.fixture(scope="session")
def demo(demo_archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with them."""
    with running(tmp_path_factory.mktemp("demo"), demo_archives) as server:
        yield server
