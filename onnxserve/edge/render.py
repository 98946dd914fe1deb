"""All files of the edge, from the intent and the labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from .envoy.bootstrap import bootstrap
from .envoy.clusters import KIND as CLUSTER
from .envoy.clusters import clusters
from .envoy.routes import KIND as ROUTE
from .envoy.routes import routes
from .envoy.tls import KIND as SECRET
from .envoy.tls import file_of, secrets
from .envoy.typed import typed
from .intent import Intent
from .labels import Labels
from .nginx import nginx_files

CLUSTERS, ROUTES = "clusters.json", "routes.json"
SOCKET = "nginx.sock"


@dataclass(frozen=True)
class Edge:
    """What is rendered, where to, and the TorchServe behind it."""

    intent: Intent
    run: Path
    inference_port: int
    management_port: int

    @property
    def url(self) -> str:
        """Where clients on this machine come in."""
        return self.intent.url


def versioned(kind: str, resources: list[dict[str, Any]]) -> tuple[str, bytes]:
    """What Envoy reads from a file, and the version that it then names: a digest of the content."""
    resources = [typed(kind, **one) for one in resources]
    version = hashlib.sha256(msgspec.json.encode(resources, order="sorted")).hexdigest()[:16]
    return version, msgspec.json.format(msgspec.json.encode({"version_info": version, "resources": resources}))


def render(edge: Edge, labels: Labels) -> dict[str, bytes]:
    """Every file by name."""
    found = {"envoy.json": msgspec.json.format(msgspec.json.encode(bootstrap(edge.intent, edge.run)))}
    found[CLUSTERS] = versioned(CLUSTER, clusters(edge.intent, labels, edge.run / SOCKET))[1]
    found[ROUTES] = versioned(ROUTE, [routes(edge.intent, labels)])[1]
    for secret in secrets(edge.intent.tls):
        found[file_of(secret["name"])] = versioned(SECRET, [secret])[1]
    return found | nginx_files(edge.intent, edge.run, edge.inference_port, edge.management_port)


def frozen(edge: Edge, labels: Labels) -> bytes:
    """One file with everything in it, for Envoy's validation, which doesn't read the files that may change."""
    made = bootstrap(edge.intent, edge.run)
    del made["dynamic_resources"]
    static = made["static_resources"]
    static["clusters"] += clusters(edge.intent, labels, edge.run / SOCKET)
    manager = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = routes(edge.intent, labels) | {"validate_clusters": True}
    return msgspec.json.format(msgspec.json.encode(made))
