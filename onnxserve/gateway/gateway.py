"""One gateway: its configuration and folder, the TorchServe behind it, and its control socket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.client import Address, unix
from onnxserve.errors import GatewayError

from .config import GatewayConfig

CONTROL = "gateway.sock"
SHADOW = "shadow.sock"
METRICS_PAGE = "metrics-page.sock"  # the exporter of metrics listens here
ADMIN = "admin.sock"  # the console's service listens here
ACCESS_LOG = "access.log"
ERROR_LOG = "nginx.log"
ANSWER_S = 5.0


@dataclass(frozen=True)
class Gateway:
    """A gateway; only its user may enter the folder `run`; `inference` and `management` are TorchServe's addresses."""

    config: GatewayConfig
    run: Path
    inference: Address
    management: Address

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        return self.config.url

    @property
    def control(self) -> Path:
        """The socket at which roles are put in force."""
        return self.run / CONTROL


class InForce(msgspec.Struct, frozen=True):
    """The roles that nginx has, by generation and digest; 0 and empty before the first ones."""

    generation: int
    digest: str


class Control:
    """The control socket of one gateway, which only its user may open."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def in_force(self) -> InForce:
        """Return which roles are in force; GatewayError when the gateway doesn't answer."""
        return self._call("GET", "/roles")

    def put(self, document: dict[str, Any]) -> None:
        """Put roles in force; GatewayError unless nginx then reports their digest."""
        reported = self._call("POST", "/roles", msgspec.json.encode(document))
        if reported.digest != document["digest"]:
            what = f"the gateway has generation {reported.generation} of the roles, not {document['generation']}"
            raise GatewayError(what, where=str(self._socket))

    def mark_disk(self, *, full: bool) -> None:
        """Tell nginx whether the disk is full, so that it caches no answer; GatewayError when it doesn't answer."""
        self._call("POST", "/disk", b"1" if full else b"")

    def alive(self) -> bool:
        """Return whether the gateway answers."""
        try:
            self.in_force()
        except GatewayError:
            return False
        return True

    def _call(self, method: str, path: str, content: bytes = b"") -> InForce:
        import httpx  # here for a quick start, as in `Address`

        try:
            with unix(self._socket).client(ANSWER_S) as client:
                return msgspec.json.decode(client.request(method, path, content=content).content, type=InForce)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            fix = f"start it with onnxserve serve; its log is {ERROR_LOG} in the same folder"
            raise GatewayError(f"the gateway does not answer: {error}", where=str(self._socket), fix=fix) from error
