"""nginx's own word on which roles are in force, over a socket that only its user may open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec

from onnxserve.client import unix
from onnxserve.errors import EdgeError

ANSWER_S = 5.0


class InForce(msgspec.Struct, frozen=True):
    """Which roles nginx has: generation and digest, 0 and empty before any."""

    generation: int
    digest: str


class Control:
    """One gateway's control socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def in_force(self) -> InForce:
        """The roles that are in force; EdgeError when nobody answers."""
        return self._call("GET", None)

    def put(self, document: dict[str, Any]) -> None:
        """Put roles in force; EdgeError unless nginx then reports them."""
        self._call("POST", document)
        reported = self.in_force()
        if reported.digest != document["digest"]:
            wanted = document["generation"]
            what = f"the gateway has generation {reported.generation} of the roles, not {wanted}"
            raise EdgeError(what, where=str(self._socket))

    def alive(self) -> bool:
        """Whether the gateway answers."""
        try:
            self.in_force()
        except EdgeError:
            return False
        return True

    def _call(self, method: str, document: dict[str, Any] | None) -> InForce:
        content = None if document is None else msgspec.json.encode(document)
        try:
            with unix(self._socket).client(ANSWER_S) as client:
                return msgspec.json.decode(client.request(method, "/roles", content=content).content, type=InForce)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            fix = "start it: onnxserve serve; what it says is in nginx.log beside"
            raise EdgeError(f"the gateway does not answer: {error}", where=str(self._socket), fix=fix) from error
