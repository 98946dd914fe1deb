"""Metrics of TorchServe's queues, in Prometheus' text format."""

from __future__ import annotations

from onnxserve.errors import ServerError
from onnxserve.torchserve import Management

from .exposition import gauge

VERSION = ("model", "version")


def queues_page(management: Management) -> bytes:
    """Return the length and the limit of each queue; empty while TorchServe doesn't answer."""
    try:
        queues = {name: management.queues(name) for name in management.models()}
    except ServerError:
        return b""
    waiting: dict[tuple[str, ...], float] = {}
    limits: dict[tuple[str, ...], float] = {}
    for name, versions in queues.items():
        for version, queue in versions.items():
            waiting[name, version], limits[name, version] = queue.pending_requests, queue.limit
    lines = (
        *gauge("onnxserve_queue_requests", "Requests that wait for a worker.", VERSION, waiting),
        *gauge(
            "onnxserve_queue_limit", "Requests that may wait; more are refused with 503 overloaded.", VERSION, limits
        ),
    )
    return "".join(f"{line}\n" for line in lines).encode()
