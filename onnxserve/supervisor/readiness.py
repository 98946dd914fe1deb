"""Waiting until every version with traffic has a ready worker."""

from __future__ import annotations

import time
from collections.abc import Collection

from onnxserve.errors import ServerError
from onnxserve.torchserve import Management, ModelVersion, Server
from onnxserve.torchserve.load_failures import refusals

POLL_S = 0.1
TRIES = 3  # after as many failed loads a worker won't succeed
Version = tuple[str, str]  # a model and one of its versions


def wait_ready(
    server: Server, management: Management, versions: Collection[Version], timeout_s: float
) -> list[Version]:
    """Wait until each of the versions has a ready worker; without any, each registered version.

    Returns the versions that can't be loaded or aren't ready after `timeout_s`. ServerError with the end of its log if
    TorchServe ended or never listened.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if not server.alive():
            raise ServerError("TorchServe ended while starting" + server.reason(), where=str(server.log))
        over = time.monotonic() > deadline
        waiting = waiting_versions_if_up(management, versions)
        if waiting is not None:
            failed = sorted(waiting if over else failed_versions(server, waiting))
            if len(failed) == len(waiting):
                return failed
        elif over:
            raise ServerError(
                f"TorchServe doesn't listen after {timeout_s:g} s" + server.reason(), where=str(server.log)
            )
        time.sleep(POLL_S)


def waiting_versions_if_up(
    management: Management, versions: Collection[Version]
) -> dict[Version, ModelVersion | None] | None:
    """Return `waiting_versions`, or None while TorchServe doesn't listen."""
    try:
        return waiting_versions(management, versions)
    except ServerError:
        return None


def waiting_versions(management: Management, versions: Collection[Version]) -> dict[Version, ModelVersion | None]:
    """Return those of the versions without a ready worker, with None for an unregistered one.

    ServerError when TorchServe doesn't answer.
    """
    names = management.models()
    if not versions and not names:
        return {("any model", "of the store"): None}
    registered: dict[Version, ModelVersion] = {}
    for name in {name for name, _ in versions} & set(names) if versions else names:
        registered |= {(name, version.model_version): version for version in management.versions(name)}
    states = {version: registered.get(version) for version in versions or registered}
    return {version: state for version, state in states.items() if state is None or not state.ready}


def failed_versions(server: Server, waiting: dict[Version, ModelVersion | None]) -> list[Version]:
    """Return the versions that will never be ready: unregistered ones, and those whose workers failed too often.

    TorchServe registers all archives before it listens, so an unregistered version won't come.
    """
    refused = refusals(server.output()) if waiting else {}
    return [version for version, state in waiting.items() if state is None or refused.get(version, 0) >= TRIES]


def join_versions(versions: Collection[Version]) -> str:
    """Join models and versions to a text."""
    return ", ".join(f"{name} {version}" for name, version in sorted(versions))
