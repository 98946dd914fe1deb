"""Feast's server of online features as a service."""

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
    """A feature store that is loaded at the first start, and only served after a crash.

    `specs` are what archives take from it: a FeatureService and its entities.
    """

    repo: Repo
    run: Path
    port: int = PORT
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _loaded: bool = False

    @property
    def url(self) -> str:
        """Where handlers find it."""
        return f"http://127.0.0.1:{self.port}"

    def service(self) -> Service:
        """For a supervisor."""
        probe = Probe("health", lambda: answers(self.url), every_s=5.0, failures=6)
        return Service(NAME, self.start, self.ready, (probe,))

    def start(self) -> FeatureServer:
        """Begin; the first time with loading the store."""
        return begin_features(self.repo, self.port, loaded=self._loaded, record=self.run / f"{NAME}.process")

    def ready(self, running: Running) -> None:
        """Wait until it answers, and let it read its registry."""
        assert isinstance(running, FeatureServer)  # noqa: S101 - `start` made it
        running.wait(READY_S)
        self._loaded = True
        for spec in self.specs.values():
            first_lookup(self.url, spec["service"], spec["entities"])
