"""A real server with one archive and one setting, for as long as it is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from onnxserve.archive import golden_bodies, reconfigure, summarise, threads_of
from onnxserve.client import Address, Connection, http_post
from onnxserve.errors import ServerError
from onnxserve.scratch import Scratch
from onnxserve.torchserve import Management, Settings, start_server
from onnxserve.torchserve.warmup import warm_up

from .point import Point, Sample
from .poisson import Load

READY_S = 180.0
FRONTEND_S = 10.0  # of a model without cost: Java compiles itself meanwhile
WARM_S = 4.0
DRAIN_S = 60.0


def served_as(point: Point) -> dict[str, object]:
    """Return the keys of `model-config.yaml` that a setting decides."""
    return {
        "minWorkers": point.workers,
        "maxWorkers": point.workers,
        "batchSize": point.batch,
        "maxBatchDelay": point.delay_ms,
        "handler": {"threads": point.threads},
    }


def point_of(config: dict[str, Any], cpus: int) -> Point:
    """Return the setting that `model-config.yaml` asks for on a machine of `cpus`, as the worker reads it."""
    workers = int(config["minWorkers"])
    return Point(
        workers, threads_of(config) or max(1, cpus // workers), int(config["batchSize"]), int(config["maxBatchDelay"])
    )


class Live:
    """A ready server."""

    def __init__(self, address: Address, requests: list[bytes]) -> None:
        self._address = address
        self._requests = requests
        self._runs = 0
        self.ceiling = 0.0

    def warm(self, rate: float) -> None:
        """Overload the server until it is warm; the rate that it then answers is its ceiling."""
        self.offer(rate, WARM_S)
        self.ceiling = self.offer(rate, WARM_S / 2).answered

    def offer(self, rate: float, seconds: float) -> Sample:
        """Run one open-loop load with its own arrival times, after the queue of the run before is empty."""
        self._runs += 1
        self._drain()
        return Load(self._address, self._requests, self._runs).run(rate, seconds)

    def _drain(self) -> None:
        """Wait until the queue is empty: a request at its end is answered."""
        with contextlib.closing(Connection(self._address, DRAIN_S)) as connection:
            connection.send(self._requests[0], 0)
            while connection.receive() is None:
                pass


@contextlib.contextmanager
def live(archive: Path, point: Point, settings: Settings, overload: float) -> Iterator[Live]:
    """Serve `archive` with `point` on sockets of its own, warmed up; the user's archive is not touched."""
    with Scratch() as scratch:
        store = scratch / "store"
        # A long queue without a target: the objective decides what is too slow, no request is refused.
        handler = {"threads": point.threads, "deduplicate": False}  # the few golden rows stand for rows that differ
        changes = {**served_as(point), "handler": handler, "jobQueueSize": 10_000, "tuning": {"p99_ms": 0}}
        reconfigure(archive, store / archive.name, changes)
        own = replace(settings, plain=False, store=store, state=scratch / "state")
        summary = summarise(archive)
        server = start_server(own)
        try:
            api = Management(own.management)
            api.wait("server up", lambda: server.alive() and _answers(api), READY_S)
            api.wait_ready(summary.name, summary.version, READY_S)
            warm_up(own, FRONTEND_S)
            live_server = Live(
                own.inference, [http_post(f"/predictions/{summary.name}", body) for body in golden_bodies(archive)]
            )
            live_server.warm(overload)
            yield live_server
        finally:
            server.stop()


def _answers(api: Management) -> bool:
    try:
        return bool(api.models())
    except ServerError:
        return False
