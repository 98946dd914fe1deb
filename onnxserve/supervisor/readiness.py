"""Waiting until every version that has traffic can answer."""

from __future__ import annotations

import time
from collections.abc import Collection

from onnxserve.config import Server
from onnxserve.errors import ServerError
from onnxserve.management import Management, ModelVersion

POLL_S = 0.1
Version = tuple[str, str]  # a model and one of its versions


def wait_ready(server: Server, management: Management, served: Collection[Version], timeout_s: float) -> None:
    """Wait until a worker of each served version is ready, of all that are registered if `served` is empty.

    ServerError, with what TorchServe's log says, if it ended, if a version isn't registered, or after the deadline.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if not server.alive():
            raise ServerError("TorchServe ended while starting" + server.reason(), where=str(server.log))
        try:
            waiting = waiting_versions(management, served)
        except ServerError:
            waiting = None  # it isn't listening yet
        else:
            if not waiting:
                return
            if missing := [version for version, found in waiting.items() if found is None]:
                # TorchServe registers all archives before it listens, so these will never be.
                raise ServerError(f"TorchServe refused {named(missing)}" + server.reason(), where=str(server.log))
        if time.monotonic() > deadline:
            what = named(waiting or served) or "TorchServe"
            raise ServerError(f"{what} not ready after {timeout_s:g} s" + server.reason(), where=str(server.log))
        time.sleep(POLL_S)


def waiting_versions(management: Management, served: Collection[Version]) -> dict[Version, ModelVersion | None]:
    """Served versions without a ready worker; None for one that isn't registered. ServerError without an answer."""
    names = management.models()
    found: dict[Version, ModelVersion] = {}
    for name in {name for name, _ in served} & set(names) if served else names:
        found |= {(name, version.model_version): version for version in management.versions(name)}
    looked = ((version, found.get(version)) for version in served or found)
    return {version: state for version, state in looked if state is None or not state.ready}


def named(versions: Collection[Version]) -> str:
    """Models and versions, for people."""
    return ", ".join(f"{name} {version}" for name, version in sorted(versions))
