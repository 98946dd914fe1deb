"""Feast's server of online features as a supervised service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnxserve.features import FeatureServer, Repo, begin_features, first_lookup
from onnxserve.features.server import PORT, READY_S, answers

from .service import Probe, Running, Service

NAME = "features"


@dataclass
class Features:
    """A feature store, loaded at the first start and only served after a crash.

    `specs` say by model what its archive reads: a FeatureService and the entities.
    """

    repo: Repo
    run: Path
    port: int = PORT
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _loaded: bool = False

    @property
    def url(self) -> str:
        """The URL at which handlers find it."""
        return f"http://127.0.0.1:{self.port}"

    def service(self) -> Service:
        """Return the service for a supervisor."""
        probe = Probe("health", lambda: answers(self.url), every_s=5.0, failures=6)
        return Service(NAME, self.start, self.ready, (probe,))

    def start(self) -> FeatureServer:
        """Start the server; the first time, load the store before."""
        return begin_features(self.repo, self.port, loaded=self._loaded, record=self.run / f"{NAME}.process")

    def ready(self, running: Running) -> None:
        """Wait until the server answers, and make it read its registry."""
        assert isinstance(running, FeatureServer)  # noqa: S101 - `start` made it
        running.wait(READY_S)
        self._loaded = True
        for spec in self.specs.values():
            first_lookup(self.url, spec["service"], spec["entities"])
