"""nginx's own word on which roles are in force, over a socket that only its user may open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from onnxserve.errors import EdgeError

ANSWER_S = 5.0


class Control:
    """One gateway's control socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def generation(self) -> int:
        """The generation of roles that is in force, 0 before any; EdgeError when nobody answers."""
        return self._call("GET", None)

    def put(self, document: dict[str, Any]) -> None:
        """Put roles in force; EdgeError unless nginx then reports their generation."""
        self._call("POST", document)
        reported, wanted = self.generation(), document["generation"]
        if reported != wanted:
            raise EdgeError(f"the gateway has generation {reported} of the roles, not {wanted}", where=self._where)

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

    def _call(self, method: str, document: dict[str, Any] | None) -> int:
        transport = httpx.HTTPTransport(uds=self._where)
        try:
            with httpx.Client(transport=transport, base_url="http://gateway", timeout=ANSWER_S) as client:
                response = client.request(method, "/roles", json=document)
                response.raise_for_status()
                return int(response.json()["generation"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            fix = "start it: onnxserve serve; what it says is in nginx.log beside"
            raise EdgeError(f"the gateway does not answer: {error}", where=self._where, fix=fix) from error
