"""One cluster a version, all of them the same nginx under different Host headers; and one a pair for falling back."""

from __future__ import annotations

from pathlib import Path

from onnxserve.edge.intent import Intent
from onnxserve.edge.labels import Labels, Model

from . import names
from .typed import Resource, typed

KIND = "envoy.config.cluster.v3.Cluster"
CONNECT = "1s"
# Tries that are always allowed: a share of few requests would be none.
LEAST_TRIES = 3
OUTLIERS: Resource = {
    "consecutive_5xx": 20,
    "consecutive_gateway_failure": 20,
    "interval": "1s",
    "base_ejection_time": "2s",
    "max_ejection_time": "10s",
    "max_ejection_percent": 100,
    "enforcing_success_rate": 0,
}


def clusters(intent: Intent, labels: Labels, socket: Path) -> list[Resource]:
    """Every version of every model, and every pair of versions that a route may name."""
    found: dict[str, Resource] = {}
    for name, model in sorted(labels.models.items()):
        for version, digest in model.versions.items():
            one = pool(intent, names.pool(name, version), names.host(name, version, digest), socket)
            found[one["name"]] = one
        if model.shadow:
            shadow = model.shadow.version
            host = names.host(name, shadow, model.versions[shadow])
            one = pool(intent, names.copies(name, shadow), host, socket, most=intent.limits.shadow)
            found[one["name"]] = one
        for version, fallback in pairs(model):
            both = [names.pool(name, version), names.pool(name, fallback)]
            found[names.pair(name, version, fallback)] = together(intent, names.pair(name, version, fallback), both)
    return list(found.values())


def pairs(model: Model) -> list[tuple[str, str]]:
    """(version, the version that answers in its place)."""
    found = [(model.stable, model.fallback)] if model.fallback else []
    if model.canary:
        found.append((model.canary.version, model.stable))
    return [*found, (model.smaller, model.stable)] if model.smaller else found


def pool(intent: Intent, name: str, host: str, socket: Path, most: int = 0) -> Resource:
    """One version; its limit on requests under way is what makes overload a quick 429.

    A version that fails again and again is left alone for a while: those that fall back go to the other one at once.
    Where there is no other, Envoy's panic threshold (half of the hosts, its default) sends to it all the same.
    """
    endpoint = {"hostname": host, "address": {"pipe": {"path": str(socket)}}}
    return {
        "name": name,
        "alt_stat_name": names.counted(name),
        "type": "STATIC",
        "connect_timeout": CONNECT,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
        "circuit_breakers": breakers(intent, most),
        "outlier_detection": OUTLIERS,
    }


def together(intent: Intent, name: str, both: list[str]) -> Resource:
    """A version, and another for tries after it failed."""
    aggregate = typed("envoy.extensions.clusters.aggregate.v3.ClusterConfig", clusters=both)
    return {
        "name": name,
        "alt_stat_name": names.counted(name),
        "connect_timeout": CONNECT,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": aggregate},
        "circuit_breakers": breakers(intent),
    }


def breakers(intent: Intent, most: int = 0) -> Resource:
    """Bounds of one cluster."""
    most = most or intent.limits.concurrency
    bounds = {"max_connections": most, "max_pending_requests": most, "max_requests": most}
    budget = {"budget_percent": {"value": intent.retry.budget_percent}, "min_retry_concurrency": LEAST_TRIES}
    return {"thresholds": [{**bounds, "retry_budget": budget, "track_remaining": True}]}
