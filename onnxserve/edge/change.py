"""New labels for a running edge, without a reload and without a lost request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from .admin import CLUSTERS as CDS
from .admin import ROUTES as RDS
from .admin import Admin
from .envoy.bootstrap import ADMIN
from .envoy.clusters import KIND as CLUSTER
from .envoy.clusters import clusters
from .envoy.routes import KIND as ROUTE
from .envoy.routes import routes
from .files import replace_file
from .labels import Labels
from .render import CLUSTERS, ROUTES, SOCKET, Edge, versioned

FILES = {CDS: CLUSTERS, RDS: ROUTES}


def change(edge: Edge, labels: Labels) -> None:
    """Clusters before the routes that need them; those that nobody needs any more go last.

    EdgeError when Envoy refuses: the routes then stay as they were.
    """
    admin = Admin(edge.run / ADMIN)
    wanted = clusters(edge.intent, labels, edge.run / SOCKET)
    old = msgspec.json.decode((edge.run / CLUSTERS).read_bytes())["resources"]
    put(edge, admin, CDS, versioned(CLUSTER, union(wanted, old)))
    put(edge, admin, RDS, versioned(ROUTE, [routes(edge.intent, labels)]))
    put(edge, admin, CDS, versioned(CLUSTER, wanted))


def put(edge: Edge, admin: Admin, kind: str, file: tuple[str, bytes]) -> None:
    """Write one file and wait until it is in effect."""
    version, content = file
    refused = admin.refusals(kind)
    if admin.version(kind) == version:
        return
    path = edge.run / FILES[kind]
    before = path.read_bytes()
    replace_file(path, content)
    try:
        admin.wait_taken(kind, version, refused)
    except BaseException:
        replace_file(path, before)
        raise


def union(wanted: Iterable[dict[str, Any]], old: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """All resources by name; the wanted ones win."""
    return list(({one["name"]: one for one in old} | {one["name"]: one for one in wanted}).values())
