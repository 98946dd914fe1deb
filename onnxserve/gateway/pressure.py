"""How full each model's versions are: requests that wait for a batch, and requests that were refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .labels import Labels


@dataclass(frozen=True)
class Pressure:
    """Of the fullest version: waiting requests as a share of what is allowed; refusals so far of all versions."""

    share: float
    refused: int


@dataclass(frozen=True)
class Pressures:
    """Looks at all models.

    `pending` gives the requests of each version of a model that wait in TorchServe (`Management.pending`), `refused`
    those of a model that were refused since too many were under way (`Observer.refused`), and `concurrency` is how many
    may be under way.
    """

    pending: Callable[[str], Mapping[str, int]]
    refused: Callable[[str], int]
    concurrency: int

    def __call__(self, labels: Labels) -> dict[str, Pressure]:
        """By model; ServerError when TorchServe doesn't answer."""
        waiting = {name: max(self.pending(name).values(), default=0) for name in labels.models}
        return {name: Pressure(count / self.concurrency, self.refused(name)) for name, count in waiting.items()}
