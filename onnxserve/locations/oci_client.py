"""A client of OCI registries: manifests and blobs, with a bearer token or a name and password.

Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md; tokens:
https://distribution.github.io/distribution/spec/auth/token/. Credentials are those of `docker login`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx

from onnxserve.errors import SourceError

from .location import LOOPBACK
from .remote import Interrupted
from .web import check_status, client

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
MOST_MANIFEST = 4 * 2**20  # bytes, as registries bound them
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
UNAUTHORIZED = 401


class RegistryClient:
    """One repository of a registry."""

    def __init__(self, registry: str, repository: str, where: str) -> None:
        host = registry.rpartition(":")[0] or registry
        scheme = "http" if host.strip("[]") in LOOPBACK else "https"
        self._registry, self._repository, self._where = registry, repository, where
        self._base = f"{scheme}://{registry}/v2/{repository}"
        self.http = client()
        self.headers: dict[str, str] = {}

    def manifest(self, reference: str) -> bytes:
        """Return the bytes of a manifest by its tag or digest."""
        try:
            answer = self.http.get(f"{self._base}/manifests/{reference}", headers={"Accept": ACCEPT, **self.headers})
            if answer.status_code == UNAUTHORIZED and not self.headers:
                self.headers = self._authorized(answer)
                return self.manifest(reference)
        except httpx.TransportError as error:
            raise Interrupted(f"{type(error).__name__}: {error}") from error
        check_status(answer, self._where)
        if len(answer.content) > MOST_MANIFEST:
            raise SourceError("the manifest is too large to be one", where=self._where)
        return answer.content

    def blob_url(self, digest: str) -> str:
        """Return the address of a blob."""
        return f"{self._base}/blobs/{digest}"

    def _authorized(self, refusal: httpx.Response) -> dict[str, str]:
        """Return the header that a registry's challenge asks for."""
        scheme, _, rest = refusal.headers.get("www-authenticate", "").partition(" ")
        pair = stored_credentials(self._registry)
        if scheme.lower() == "basic" and pair:
            return {"Authorization": basic(*pair)}
        challenge = dict(CHALLENGE.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in challenge:
            check_status(refusal, self._where)
        query = {"scope": challenge.get("scope") or f"repository:{self._repository}:pull"}
        if "service" in challenge:
            query["service"] = challenge["service"]
        headers = {"Authorization": basic(*pair)} if pair else {}
        answer = self.http.get(challenge["realm"], params=query, headers=headers)
        check_status(answer, self._where)
        document: dict[str, Any] = answer.json()
        return {"Authorization": f"Bearer {document.get('token') or document.get('access_token')}"}


def basic(name: str, password: str) -> str:
    """Return a header of HTTP's basic authentication."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def stored_credentials(registry: str) -> tuple[str, str] | None:
    """Return the name and password that `docker login` stored, itself or by a helper program."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if helper := config.get("credHelpers", {}).get(registry) or config.get("credsStore"):
        return _from_helper(str(helper), registry)
    entry = config.get("auths", {}).get(registry, {}).get("auth", "")
    name, mark, password = base64.b64decode(entry).decode().partition(":")
    return (name, password) if mark else None


def _from_helper(helper: str, registry: str) -> tuple[str, str] | None:
    command = [f"docker-credential-{helper}", "get"]
    try:
        completed = subprocess.run(command, input=registry, capture_output=True, text=True, check=True, timeout=60)
        document = json.loads(completed.stdout)
        return str(document["Username"]), str(document["Secret"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
