"""One gateway: what it is told, where it runs, the TorchServe behind it, and its own word on the roles in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from onnxserve.client import Address, unix
from onnxserve.errors import GatewayError

from .config import GatewayConfig

CONTROL = "gateway.sock"
SHADOW = "shadow.sock"
METRICS_PAGE = "metrics-page.sock"  # of whoever adds up what gateway and workers count
ACCESS_LOG = "access.log"
ERROR_LOG = "nginx.log"
ANSWER_S = 5.0


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


class InForce(msgspec.Struct, frozen=True):
    """Which roles nginx has: generation and digest, 0 and empty before any."""

    generation: int
    digest: str


class Control:
    """One gateway's control socket, which only its user may open."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def in_force(self) -> InForce:
        """The roles that are in force; GatewayError when nobody answers."""
        return self._call("GET", "/roles")

    def put(self, document: dict[str, Any]) -> None:
        """Put roles in force; GatewayError unless nginx then reports them."""
        reported = self._call("POST", "/roles", msgspec.json.encode(document))
        if reported.digest != document["digest"]:
            what = f"the gateway has generation {reported.generation} of the roles, not {document['generation']}"
            raise GatewayError(what, where=str(self._socket))

    def mark_disk(self, *, full: bool) -> None:
        """Let nginx keep answers on its disk, or none; GatewayError when nobody answers."""
        self._call("POST", "/disk", b"1" if full else b"")

    def alive(self) -> bool:
        """Whether the gateway answers."""
        try:
            self.in_force()
        except GatewayError:
            return False
        return True

    def _call(self, method: str, path: str, content: bytes = b"") -> InForce:
        try:
            with unix(self._socket).client(ANSWER_S) as client:
                return msgspec.json.decode(client.request(method, path, content=content).content, type=InForce)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            fix = f"start it: onnxserve serve; what it says is in {ERROR_LOG} beside"
            raise GatewayError(f"the gateway does not answer: {error}", where=str(self._socket), fix=fix) from error
