"""What a TorchServe that isn't hung answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator

import httpx

from onnxserve.client import Address
from onnxserve.torchserve import Management

from .readiness import Version
from .service import Probe

FRONTEND_S = 5.0
WORKER_S = 60.0
# Our handlers answer this with what is loaded, without computing anything. TorchServe's own `?customized=true` is no
# alternative: the thread that waits for the answer of a hung worker would then wait forever (`WorkerThread.run`).
DESCRIBE = {"describe": "True", "Content-Type": "application/json", "x-onnxserve-priority": "urgent"}


def torchserve_probes(
    inference: Address, management: Management, described: Callable[[], Collection[Version]]
) -> tuple[Probe, ...]:
    """The frontend must answer within seconds; a request to a worker may take as long as batches take.

    `described` are the versions whose archives are ours: another handler might fail at the question, and with it the
    requests that share the batch.
    """
    turns = _turns(described)
    return (
        Probe("management API", management.models, every_s=2.0, failures=3),
        Probe("inference", lambda: ask_worker(inference, next(turns)), every_s=10.0, failures=3),
    )


def ask_worker(inference: Address, version: Version | None, timeout_s: float = WORKER_S) -> bool:
    """Whether a request is answered at all: a busy version refuses it, and that is an answer."""
    if version is None:
        return True
    with inference.client(timeout_s, DESCRIBE) as client:
        try:
            client.post("/predictions/{}/{}".format(*version), content=b"{}")
        except httpx.TimeoutException:
            return False
    return True


def _turns(described: Callable[[], Collection[Version]]) -> Iterator[Version | None]:
    """One version after the other, None where there is none."""
    for number in itertools.count():
        versions = sorted(described())
        yield versions[number % len(versions)] if versions else None
