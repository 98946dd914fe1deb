"""Probes that tell whether TorchServe hangs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator

from onnxserve.client import Address
from onnxserve.torchserve import Management

from .readiness import Version
from .service import Probe

FRONTEND_S = 5.0
WORKER_S = 60.0
# Our handlers answer this with a description of the model and compute nothing. TorchServe's own `?customized=true` is
# no alternative: its thread would wait forever for the answer of a hung worker (`WorkerThread.run`).
DESCRIBE = {"describe": "True", "Content-Type": "application/json", "x-onnxserve-priority": "urgent"}


def torchserve_probes(
    inference: Address, management: Management, probed: Callable[[], Collection[Version]]
) -> tuple[Probe, ...]:
    """Return the probes of frontend and workers; a worker may take as long as its batches take.

    `probed` returns the versions whose archives our exporter made. Another handler might fail at the probe, and
    with it the requests in the same batch.
    """
    turns = _turns(probed)
    return (
        Probe("management API", management.models, every_s=2.0, failures=3),
        Probe("inference", lambda: ask_worker(inference, next(turns)), every_s=10.0, failures=3),
    )


def ask_worker(inference: Address, version: Version | None, timeout_s: float = WORKER_S) -> bool:
    """Return whether a request is answered at all; the refusal of a busy version is an answer."""
    if version is None:
        return True
    import httpx  # here for a quick start, as in `Address`

    with inference.client(timeout_s, DESCRIBE) as client:
        try:
            client.post("/predictions/{}/{}".format(*version), content=b"{}")
        except httpx.TimeoutException:
            return False
    return True


def _turns(probed: Callable[[], Collection[Version]]) -> Iterator[Version | None]:
    """Yield one version after the other, in turn; None while there is none."""
    for number in itertools.count():
        versions = sorted(probed())
        yield versions[number % len(versions)] if versions else None
