"""What is done with a request that a route took: versions by their shares, copies, deadline, tries."""

from __future__ import annotations

from onnxserve.edge.intent import Intent
from onnxserve.edge.labels import Model

from . import names
from .typed import Resource, extension, header, percent, seconds

WEIGHT = 10_000  # a hundredth of a percent
# For nginx: the version that was meant; a mark common to a request and its copy; whether the body is noted.
WANTED, OBSERVE, KEEP = "x-onnxserve-wanted", "x-onnxserve-observe", "x-onnxserve-keep"
# What a version can't answer now, another try may: a dead worker is 507 (or 500), a full queue 503.
RETRY_ON = "connect-failure,refused-stream,reset,retriable-status-codes"
RETRIABLE = [500, 502, 503, 507]


def plain(intent: Intent, cluster: str) -> Resource:
    """To one version, with deadline and tries."""
    return {"route": {"cluster": cluster, **common(intent, intent.retry.tries)}}


def shared(intent: Intent, name: str, model: Model) -> Resource:
    """To the stable version and a canary by their shares, with a copy to the shadow."""
    canary, shadow = model.canary, model.shadow
    parts = [(model.stable, model.fallback, WEIGHT)]
    route = common(intent, intent.retry.tries + 1 if canary or model.fallback else intent.retry.tries)
    weighted: Resource = {}
    if canary:
        weight = round(canary.percent * WEIGHT / 100)
        parts = [(model.stable, model.fallback, WEIGHT - weight), (canary.version, model.stable, weight)]
        if canary.key:
            route["hash_policy"] = [{"header": {"header_name": canary.key}}]
            weighted["use_hash_policy"] = True
    route["weighted_clusters"] = {"clusters": [part(name, *one) for one in parts], **weighted}
    if shadow:
        host = names.host(name, shadow.version, model.versions[shadow.version])
        route["request_mirror_policies"] = [mirror(names.pool(name, shadow.version), host, shadow.percent)]
    observed = [header(OBSERVE, "%STREAM_ID%")] if canary or shadow else []
    kept = [header(KEEP, "1")] if shadow else []
    return {"route": route, "request_headers_to_add": [*observed, *kept]}


def part(name: str, version: str, fallback: str, weight: int) -> Resource:
    """A share; nginx compares the version that was wanted with the one that answers."""
    cluster = names.pair(name, version, fallback)
    return {"name": cluster, "weight": weight, "request_headers_to_add": [header(WANTED, version)]}


def mirror(cluster: str, host: str, share: float) -> Resource:
    """A copy whose answer nobody waits for."""
    return {"cluster": cluster, "host_rewrite_literal": host, "runtime_fraction": {"default_value": percent(share)}}


def common(intent: Intent, tries: int) -> Resource:
    """Deadline, Host by version, and tries: the last one on the version to fall back to, where there is one."""
    route: Resource = {"auto_host_rewrite": True, "timeout": seconds(intent.deadline.answer_s)}
    if tries:
        priority = extension(
            "envoy.retry_priorities.previous_priorities",
            "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            update_frequency=intent.retry.tries + 1,
        )
        route["retry_policy"] = {
            "retry_on": RETRY_ON,
            "retriable_status_codes": RETRIABLE,
            "num_retries": tries,
            "retry_priority": priority,
            "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.200s"},
        }
    return route
