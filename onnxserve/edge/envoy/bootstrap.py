"""What Envoy starts with: its listeners, and the files in which everything else may change."""

from __future__ import annotations

from pathlib import Path

from onnxserve.edge.intent import Intent

from .listener import MANAGER, listener, watched
from .traces import collector
from .typed import Resource, extension, typed

ADMIN = "admin.sock"
WORKERS = "workers.sock"  # of whoever adds up what workers count


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
            "listeners": [listener(intent, run), metrics(intent)],
            "clusters": [
                local("admin", run / ADMIN),
                local("nginx", run / "nginx.sock"),
                local("workers", run / WORKERS),
                *collector(intent.traces),
            ],
        },
        "overload_manager": {"resource_monitors": [monitor]},
    }


def metrics(intent: Intent) -> Resource:
    """Prometheus's way to the counters, and to nothing else of the administration."""
    router = extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
    routes = [
        {"match": {"path": "/metrics"}, "route": {"cluster": "admin", "prefix_rewrite": "/stats/prometheus?usedonly"}},
        {"match": {"path": "/workers"}, "route": {"cluster": "workers"}},
        {"match": {"path": "/cache"}, "route": {"cluster": "nginx", "prefix_rewrite": "/cache/metrics"}},
    ]
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        MANAGER,
        stat_prefix="metrics",
        http_filters=[router],
        route_config={"virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": routes}]},
    )
    address = {"socket_address": {"address": "127.0.0.1", "port_value": intent.listen.metrics_port}}
    return {"name": "metrics", "address": address, "filter_chains": [{"filters": [manager]}]}


def local(name: str, socket: Path) -> Resource:
    """A socket of this machine."""
    endpoint = {"address": {"pipe": {"path": str(socket)}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
