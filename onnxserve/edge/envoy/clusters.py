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


def clusters(intent: Intent, labels: Labels, socket: Path) -> list[Resource]:
    """Every version of every model, and every pair of versions that a route may name."""
    found: dict[str, Resource] = {}
    for name, model in sorted(labels.models.items()):
        for version, digest in model.versions.items():
            one = pool(intent, names.pool(name, version), names.host(name, version, digest), socket)
            found[one["name"]] = one
        for version, fallback in pairs(model):
            both = [names.pool(name, version), names.pool(name, fallback)]
            found[names.pair(name, version, fallback)] = together(intent, names.pair(name, version, fallback), both)
    return list(found.values())


def pairs(model: Model) -> list[tuple[str, str]]:
    """(version, the version that answers in its place)."""
    found = [(model.stable, model.fallback)] if model.fallback else []
    return [*found, (model.canary.version, model.stable)] if model.canary else found


def pool(intent: Intent, name: str, host: str, socket: Path) -> Resource:
    """One version; its limit on requests under way is what makes overload a quick 429."""
    endpoint = {"hostname": host, "address": {"pipe": {"path": str(socket)}}}
    return {
        "name": name,
        "alt_stat_name": names.counted(name),
        "type": "STATIC",
        "connect_timeout": CONNECT,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
        "circuit_breakers": breakers(intent),
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


def breakers(intent: Intent) -> Resource:
    """Bounds of one cluster."""
    most = intent.limits.concurrency
    bounds = {"max_connections": most, "max_pending_requests": most, "max_requests": most}
    budget = {"budget_percent": {"value": intent.retry.budget_percent}, "min_retry_concurrency": LEAST_TRIES}
    return {"thresholds": [{**bounds, "retry_budget": budget, "track_remaining": True}]}
