"""Repairs that must not meet a running server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from onnxserve.client import unix
from onnxserve.errors import ServerError
from onnxserve.gateway.gateway import CONTROL
from onnxserve.processes import lock_run_folder, make_run_folder
from onnxserve.torchserve import Settings


@contextlib.contextmanager
def no_server(settings: Settings) -> Iterator[None]:
    """Let no server start with this state folder within the block.

    ServerError if a server or a gateway has started since the check, and if the run folder is another user's, whose
    records would name processes to end. Without a state folder there is nothing to lock.
    """
    if not settings.state.is_dir():
        yield
        return
    make_run_folder(settings.run)
    with lock_run_folder(settings.run):
        if unix(settings.run / CONTROL).listening():
            raise ServerError("a gateway has started", where=str(settings.run), fix="stop it, then repeat the repair")
        yield
