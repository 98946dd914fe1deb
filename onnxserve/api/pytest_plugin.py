"""The pytest plugin: a fixture `served`, which starts servers for tests.

pytest imports this module at each start where onnxserve is installed, so it imports nothing that takes time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from .server import Server


class ServerFactory(Protocol):
    """What `served` is."""

    def __call__(self, *archives: str | os.PathLike[str], fresh: bool = False) -> Server:
        """Return a server that serves these archives; tests share it unless it is `fresh`."""


@pytest.fixture(scope="session", name="served")
def server_factory() -> Iterator[ServerFactory]:
    """Serve archives: `served("model_store/reviews-1.0.0.mar")` returns a running `onnxserve.Server`.

    All tests of a session that name the same archives share one server, which ends with the session. A test that moves
    roles asks for one of its own with `fresh=True`; it ends with the session too.
    """
    servers: dict[frozenset[Path], Server] = {}
    with ExitStack() as running:

        def served_by(*archives: str | os.PathLike[str], fresh: bool = False) -> Server:
            import onnxserve

            paths = frozenset(Path(archive).resolve() for archive in archives)
            if fresh or paths not in servers:
                server = running.enter_context(onnxserve.serve(archives))
                if fresh:
                    return server
                servers[paths] = server
            return servers[paths]

        yield served_by
