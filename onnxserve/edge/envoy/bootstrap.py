"""What Envoy starts with: its listeners, and the files in which everything else may change."""

from __future__ import annotations

from pathlib import Path

from onnxserve.edge.intent import Intent

from .listener import MANAGER, listener, watched
from .traces import collector
from .typed import Resource, extension, typed

ADMIN = "admin.sock"
LOOPBACK = ["127.0.0.1:*", "localhost:*"]
WORKERS = "workers.sock"  # of whoever adds up what workers count
COUNTERS: list[Resource] = [
    {"match": {"path": "/metrics"}, "route": {"cluster": "admin", "prefix_rewrite": "/stats/prometheus?usedonly"}},
    {"match": {"path": "/workers"}, "route": {"cluster": "workers"}},
    {"match": {"path": "/cache"}, "route": {"cluster": "nginx", "prefix_rewrite": "/cache/metrics"}},
]
CONSOLE: list[Resource] = [
    {"match": {"path": "/"}, "redirect": {"path_redirect": "/console/"}},
    {"match": {"path": "/openapi.json"}, "route": {"cluster": "nginx"}},
    {"match": {"prefix": "/console/"}, "route": {"cluster": "nginx"}},
    {"match": {"prefix": "/ask/predictions/"}, "route": {"cluster": "door", "prefix_rewrite": "/predictions/"}},
]


def bootstrap(intent: Intent, run: Path) -> Resource:
    """Envoy's own file; versions and routes are read from `clusters.json` and `routes.json` beside it."""
    most = typed(
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=intent.limits.connections,
    )
    monitor = {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": most}
    return {
        "node": {"id": "onnxserve", "cluster": "onnxserve"},
        "admin": {"address": {"pipe": {"path": str(run / ADMIN), "mode": 0o600}}},
        "dynamic_resources": {"cds_config": watched(run / "clusters.json")},
        "static_resources": {
            "listeners": [listener(intent, run), *counters(intent)],
            "clusters": [
                local("admin", run / ADMIN),
                local("nginx", run / "nginx.sock"),
                local("workers", run / WORKERS),
                itself(intent),
                *collector(intent.traces),
            ],
        },
        "overload_manager": {"resource_monitors": [monitor]},
    }


def counters(intent: Intent) -> list[Resource]:
    """On loopback counters and the console, whose playground asks through the front door; elsewhere at most counters.

    Nothing else of the administration. On loopback other names for the address are refused: a web page elsewhere
    could give itself one (DNS rebinding).
    """
    listen = intent.listen
    found = [shown("metrics", "127.0.0.1", listen.metrics_port, LOOPBACK, [*COUNTERS, *CONSOLE])]
    if listen.scrape_host:
        found.append(shown("scrape", listen.scrape_host, listen.scrape_port, ["*"], COUNTERS))
    return found


def shown(name: str, host: str, port: int, domains: list[str], routes: list[Resource]) -> Resource:
    """A listener of plain HTTP that shows these routes."""
    router = extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        MANAGER,
        stat_prefix=name,
        http_filters=[router],
        normalize_path=True,
        route_config={"virtual_hosts": [{"name": name, "domains": domains, "routes": routes}]},
    )
    address = {"socket_address": {"address": host, "port_value": port}}
    return {"name": name, "address": address, "filter_chains": [{"filters": [manager]}]}


def itself(intent: Intent) -> Resource:
    """The front door, seen from this machine."""
    endpoint = {"address": {"socket_address": {"address": intent.listen.near, "port_value": intent.listen.port}}}
    found: Resource = {
        "name": "door",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "door", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
    if intent.tls.certificate:
        kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        found["transport_socket"] = extension("envoy.transport_sockets.tls", kind)
    return found


def local(name: str, socket: Path) -> Resource:
    """A socket of this machine."""
    endpoint = {"address": {"pipe": {"path": str(socket)}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
