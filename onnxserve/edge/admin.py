"""Envoy's administration, over a socket that only its owner may open."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path

from onnxserve.errors import EdgeError

TAKEN_S = 5.0
ANSWER_S = 5.0
POLL_S = 0.02
# Envoy's names for what it last took from a file, and for what it refused.
CLUSTERS = "cluster_manager.cds"
ROUTES = "http.edge.rds.edge"


class Local(http.client.HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=ANSWER_S)
        self._path = str(path)

    def connect(self) -> None:
        """Open the socket, or close it again."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_S)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


class Admin:
    """One Envoy's administration."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def get(self, path: str) -> str:
        """The answer to a question; EdgeError when nobody listens."""
        return self._call("GET", path)

    def post(self, path: str) -> None:
        """Do something."""
        self._call("POST", path)

    def _call(self, method: str, path: str) -> str:
        connection = Local(self._socket)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise EdgeError(
                f"Envoy does not answer: {error}", where=str(self._socket), fix="start it: onnxserve serve"
            ) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise EdgeError(f"Envoy answers {answer.status} to {path}", where=str(self._socket))
        return text

    def alive(self) -> bool:
        """Whether Envoy has its configuration and takes requests."""
        try:
            return self.get("/ready").strip() == "LIVE"
        except EdgeError:
            return False

    def version(self, kind: str) -> str:
        """What was last taken, by `version_info`."""
        text = self.get(f"/stats?type=TextReadouts&filter={kind.replace('.', '[.]')}[.]version_text")
        return text.partition(": ")[2].strip().strip('"')

    def refusals(self, kind: str) -> int:
        """How often a file was refused."""
        text = self.get(f"/stats?filter={kind.replace('.', '[.]')}[.]update_rejected")
        return int(text.partition(": ")[2].strip() or 0)

    def active(self) -> int:
        """Requests under way."""
        text = self.get("/stats?filter=^http[.]edge[.]downstream_rq_active$")
        return int(text.partition(": ")[2].strip() or 0)

    def wait_taken(self, kind: str, version: str, refused: int) -> None:
        """Wait until a version is in effect; EdgeError when Envoy refuses it or doesn't see it."""
        deadline = time.monotonic() + TAKEN_S
        while self.version(kind) != version:
            if self.refusals(kind) > refused:
                raise EdgeError("Envoy refuses the change", where=kind, fix="its reason stands in the edge's log")
            if time.monotonic() > deadline:
                raise EdgeError(f"Envoy has not taken the change after {TAKEN_S:g} s", where=kind)
            time.sleep(POLL_S)
