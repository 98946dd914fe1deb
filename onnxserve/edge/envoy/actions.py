"""What is done with a request that a route took: versions by their shares, copies, deadline, tries."""

from __future__ import annotations

from onnxserve.edge.intent import Intent
from onnxserve.edge.labels import Model

from . import names
from .typed import Resource, extension, header, percent, seconds

WEIGHT = 10_000  # a hundredth of a percent
# For nginx: the version that was meant; a mark common to a request and its copy; whether the body is noted.
WANTED, OBSERVE, KEEP = "x-onnxserve-wanted", "x-onnxserve-observe", "x-onnxserve-keep"
LEVEL, CHEAPER = "x-onnxserve-level", "x-onnxserve-smaller"
NO_SHADOW, SMALLER = 1, 3  # levels of the ladder; the second, older answers, is nginx's part
# What a version can't answer now, another try may: a dead worker is 507 (or 500), a full queue 503.
RETRY_ON = "connect-failure,refused-stream,reset,retriable-status-codes"
RETRIABLE = [500, 502, 503, 507]


def plain(intent: Intent, cluster: str) -> Resource:
    """To one version, with deadline and tries."""
    return {"route": {"cluster": cluster, **common(intent, intent.retry.tries)}}


def shared(intent: Intent, name: str, model: Model) -> Resource:
    """To the versions by their shares, with a copy to the shadow."""
    parts, shadow = split(model), model.shadow if model.level < NO_SHADOW else None
    spare = any(fallback for _, fallback, _ in parts)
    route = common(intent, intent.retry.tries + 1 if spare else intent.retry.tries)
    route["weighted_clusters"] = {"clusters": [part(name, *one) for one in parts]}
    if model.canary and model.canary.key:
        route["hash_policy"] = [{"header": {"header_name": model.canary.key}}]
        route["weighted_clusters"]["use_hash_policy"] = True
    if shadow:
        host = names.host(name, shadow.version, model.versions[shadow.version])
        route["request_mirror_policies"] = [mirror(names.copies(name, shadow.version), host, shadow.percent)]
    return {"route": route, "request_headers_to_add": marks(model)}


def split(model: Model) -> list[tuple[str, str, int]]:
    """(version, the one to fall back to, weight); with a model that is too busy, all to the smaller version."""
    if model.level >= SMALLER and model.smaller:
        return [(model.smaller, model.stable, WEIGHT)]
    if not model.canary:
        return [(model.stable, model.fallback, WEIGHT)]
    weight = round(model.canary.percent * WEIGHT / 100)
    return [(model.stable, model.fallback, WEIGHT - weight), (model.canary.version, model.stable, weight)]


def marks(model: Model) -> list[Resource]:
    """What nginx must know of the labels: whether answers are judged, inputs kept, and what is given up."""
    found = [(OBSERVE, "%STREAM_ID%")] if model.canary or model.shadow else []
    found += [(KEEP, "1")] if model.shadow else []
    found += [(LEVEL, str(model.level))] if model.level else []
    found += [(CHEAPER, model.smaller)] if model.level >= SMALLER and model.smaller else []
    return [header(*one) for one in found]


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
