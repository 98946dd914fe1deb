"""One gateway: what it is told, where it runs, and the TorchServe behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnxserve.client import Address

from .config import GatewayConfig

CONTROL = "gateway.sock"
SHADOW = "shadow.sock"
METRICS_PAGE = "metrics-page.sock"  # of whoever adds up what gateway and workers count
ACCESS_LOG = "access.log"
ERROR_LOG = "nginx.log"


@dataclass(frozen=True)
class Gateway:
    """`run` is a folder that only its user may enter; `inference` and `management` are TorchServe's."""

    config: GatewayConfig
    run: Path
    inference: Address
    management: Address

    @property
    def url(self) -> str:
        """Where clients on this machine come in."""
        return self.config.url

    @property
    def control(self) -> Path:
        """The socket at which roles are put in force."""
        return self.run / CONTROL
