"""nginx's own word on which roles are in force, over a socket that only its user may open."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.client import unix
from onnxserve.errors import EdgeError

ANSWER_S = 5.0


class InForce(msgspec.Struct, frozen=True):
    """What nginx says of itself."""

    generation: int
    digest: str


class Local(http.client.HTTPConnection):
    """HTTP over a socket of this machine; httpx leaves one open that it could not connect."""

    def __init__(self, path: Path) -> None:
        super().__init__("gateway", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = unix(self._path).connect(ANSWER_S)


class Control:
    """One gateway's control socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def generation(self) -> int:
        """The generation of roles that is in force, 0 before any; EdgeError when nobody answers."""
        return self._call("GET", None).generation

    def digest(self) -> str:
        """The digest of the roles that are in force, empty before any; EdgeError when nobody answers."""
        return self._call("GET", None).digest

    def put(self, document: dict[str, Any]) -> None:
        """Put roles in force; EdgeError unless nginx then reports them."""
        self._call("POST", document)
        reported = self._call("GET", None)
        if reported.digest != document["digest"]:
            wanted = document["generation"]
            raise EdgeError(
                f"the gateway has generation {reported.generation} of the roles, not {wanted}", where=self._where
            )

    def alive(self) -> bool:
        """Whether the gateway answers."""
        try:
            self.generation()
        except EdgeError:
            return False
        return True

    @property
    def _where(self) -> str:
        return str(self._socket)

    def _call(self, method: str, document: dict[str, Any] | None) -> InForce:
        connection = Local(self._socket)
        try:
            connection.request(method, "/roles", body=None if document is None else msgspec.json.encode(document))
            response = connection.getresponse()
            content = response.read()
            return msgspec.json.decode(content, type=InForce)
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            fix = "start it: onnxserve serve; what it says is in nginx.log beside"
            raise EdgeError(f"the gateway does not answer: {error}", where=self._where, fix=fix) from error
        finally:
            connection.close()
