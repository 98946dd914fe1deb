"""How full each model's versions are: requests that wait for a batch, and requests that were refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onnxserve.management.model import Queue

from .labels import Labels


@dataclass(frozen=True)
class Pressure:
    """Of the fullest version: waiting requests as a share of those that may wait; refusals so far of all versions."""

    share: float
    refused: int


@dataclass(frozen=True)
class Pressures:
    """Looks at all models.

    `queues` gives what waits in TorchServe for each version of a model (`Management.queues`), `refused` the requests of
    a model that were refused since too many waited or were under way (`Observer.refused`), and `concurrency` is how
    many may be under way.
    """

    queues: Callable[[str], Mapping[str, Queue]]
    refused: Callable[[str], int]
    concurrency: int

    def __call__(self, labels: Labels) -> dict[str, Pressure]:
        """By model; ServerError when TorchServe doesn't answer."""
        queues = {name: self.queues(name).values() for name in labels.models}
        shares = {name: max(map(self._share, waiting), default=0.0) for name, waiting in queues.items()}
        return {name: Pressure(share, self.refused(name)) for name, share in shares.items()}

    def _share(self, queue: Queue) -> float:
        return queue.pending_requests / max(1, min(self.concurrency, queue.limit))
