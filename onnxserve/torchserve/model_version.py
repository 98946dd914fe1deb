"""The state of one version of a model, as the management API reports it."""

from __future__ import annotations

import msgspec


class Worker(msgspec.Struct, frozen=True, rename="camel"):
    """One worker process."""

    id: str
    status: str
    pid: int = 0


class Queue(msgspec.Struct, frozen=True, rename="camel"):
    """The queue of requests that wait for a batch."""

    remaining_capacity: int = 0
    pending_requests: int = 0

    @property
    def limit(self) -> int:
        """The number of requests that may wait now; the plugin's queue adapts it to the workers' speed."""
        return self.pending_requests + self.remaining_capacity


class ModelVersion(msgspec.Struct, frozen=True, rename="camel"):
    """One registered version with its workers and its queue."""

    model_name: str
    model_version: str
    model_url: str
    min_workers: int
    max_workers: int
    batch_size: int
    max_batch_delay: int
    workers: tuple[Worker, ...] = ()
    job_queue_status: Queue = Queue()

    @property
    def ready_workers(self) -> int:
        """The number of workers that have loaded the model and reproduced its golden rows."""
        return sum(worker.status == "READY" for worker in self.workers)

    @property
    def ready(self) -> bool:
        """Whether a worker is ready, so that requests are answered."""
        return self.ready_workers > 0

    @property
    def complete(self) -> bool:
        """Whether every worker that should run is ready."""
        return self.ready_workers >= max(1, self.min_workers) and self.ready_workers == len(self.workers)


def version_key(version: str) -> tuple[int, ...]:
    """Return a sort key that orders version `1.10` after `1.9`."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
