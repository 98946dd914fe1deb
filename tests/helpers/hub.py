"""A stand-in of the Hugging Face Hub: one repository, at the commit that `main` and `v1` name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from .file_server import FileServer, ReceivedRequest, Reply

REPO, COMMIT = "owner/tiny", "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The three answers of the API that a download needs: the commit, the tree, and the files."""

    def __init__(self, server: FileServer, files: Mapping[str, bytes], repo: str = REPO, kind: str = "models") -> None:
        self.server, self.files, self.token = server, files, ""
        prefix = f"/{repo}" if kind == "models" else f"/{kind}/{repo}"
        server.files = {f"{prefix}/resolve/{COMMIT}/{name}": content for name, content in files.items()}
        self._info = {f"/api/{kind}/{repo}/revision/{name}" for name in ("main", "v1", COMMIT)}
        self._tree = f"/api/{kind}/{repo}/tree/{COMMIT}"
        server.routes = self.reply

    def reply(self, request: ReceivedRequest) -> Reply | None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, {"x-error-code": "GatedRepo"})
        path = request.path.partition("?")[0]
        if path in self._info:
            return as_json({"id": REPO, "_id": "0", "sha": COMMIT, "siblings": [], "tags": []})
        if path == self._tree:
            return as_json([entry(name, content) for name, content in self.files.items()])
        return None if path in self.server.files else Reply(404, {"x-error-code": "RepoNotFound"})


def as_json(document: object) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps(document).encode())


def entry(name: str, content: bytes) -> dict[str, object]:
    """A file of the tree, as https://huggingface.co/docs/hub/api has it; large files are in LFS."""
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    fields = {"type": "file", "path": name, "size": len(content), "oid": digest}
    return fields | ({"lfs": lfs} if name.endswith(".safetensors") else {})
