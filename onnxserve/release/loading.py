"""Waiting until TorchServe has loaded a version, or its log says that the version can't be loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from onnxserve.errors import ServerError
from onnxserve.processes import lines_since, log_size
from onnxserve.torchserve import Management
from onnxserve.torchserve.load_failures import failure_reason, refusals

LOG = "torchserve.log"


@dataclass(frozen=True)
class ServerLog:
    """The lines that TorchServe appends to `path` after this object was made."""

    path: Path
    begin: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", log_size(self.path))

    def lines(self) -> list[str]:
        """Return the lines so far."""
        return lines_since(self.path, self.begin)


def is_loaded(management: Management, log: ServerLog, name: str, version: str) -> bool:
    """Return whether a worker of the version is ready; ServerError with the log's reason if loading failed."""
    if any(state.model_version == version and state.ready for state in management.versions(name)):
        return True
    own = [line for line in log.lines() if refusals([line]).get((name, version))]
    if own:
        raise ServerError(f"{name} {version} can't be loaded" + failure_reason(own), where=str(log.path))
    return False
