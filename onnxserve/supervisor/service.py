"""What a supervisor knows of a service."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from onnxserve.processes import end_group


class Running(Protocol):
    """A started service. `RunningGateway`, `Server` and `FeatureServer` are ones."""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The leader of its process group."""
        ...

    def alive(self) -> bool:
        """Whether the leader runs."""
        ...

    def stop(self) -> None:
        """End it, first kindly; it may take as long as its requests under way."""
        ...


@dataclass(frozen=True)
class Probe:
    """A question that a service which isn't hung answers: `call` raises, or returns False, if it doesn't.

    Asked again `every_s` after an answer; `failures` in a row, and the service is replaced. `call` must end in time by
    itself.
    """

    name: str
    call: Callable[[], object]
    every_s: float = 2.0
    failures: int = 3


def kill(running: Running) -> None:
    """Its whole process group, at once."""
    end_group(running.process, signal.SIGKILL, 0)


@dataclass(frozen=True)
class Service:
    """How a service is started and judged.

    `start` begins it; `ready` waits until it can be used and does what every start needs. Both raise OnnxserveError.
    `clear` ends what is left of one that has died or hangs.
    """

    name: str
    start: Callable[[], Running]
    ready: Callable[[Running], None] = lambda _: None
    probes: tuple[Probe, ...] = ()
    clear: Callable[[Running], None] = kill
