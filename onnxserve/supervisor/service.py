"""The description of a service that a supervisor runs."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from onnxserve.processes import end_group


class Running(Protocol):
    """A started service, such as `RunningGateway`, `Server` or `FeatureServer`."""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The leader of its process group."""
        ...

    def alive(self) -> bool:
        """Return whether the leader runs."""
        ...

    def stop(self) -> None:
        """Stop the service gracefully; that may take as long as its requests under way."""
        ...


@dataclass(frozen=True)
class Probe:
    """A check that fails when a service hangs: `call` then raises or returns False.

    It is repeated `every_s` seconds after it returned. After `failures` failures in a row the service is replaced.
    `call` must have a timeout of its own.
    """

    name: str
    call: Callable[[], object]
    every_s: float = 2.0
    failures: int = 3


def kill(running: Running) -> None:
    """Kill the whole process group at once."""
    end_group(running.process, signal.SIGKILL, 0)


@dataclass(frozen=True)
class Service:
    """How a service is started, probed and cleared.

    `start` starts it; `ready` waits until it can be used and does what each start needs. Both raise OnnxserveError.
    `clear` kills what is left of a service that died or hangs.
    """

    name: str
    start: Callable[[], Running]
    ready: Callable[[Running], None] = lambda _: None
    probes: tuple[Probe, ...] = ()
    clear: Callable[[Running], None] = kill
