"""Where clients come in: what is stripped, bounded and refused before a version is asked."""

from __future__ import annotations

from pathlib import Path

from onnxserve.edge.intent import Intent

from .auth import permission, tokens
from .grpc import transcoder
from .log import access_log
from .replies import replies
from .routes import NAME
from .tls import transport
from .traces import tracing
from .typed import Resource, extension, percent, seconds

MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
# Ours, and TorchServe's mark for a request that wants a description.
STRIPPED = "x-onnxserve-"
DESCRIBE = "describe"
BUFFER = 256 * 2**10


def listener(intent: Intent, run: Path) -> Resource:
    """The public listener."""
    address = {"socket_address": {"address": intent.listen.host, "port_value": intent.listen.port}}
    manager = extension("envoy.filters.network.http_connection_manager", MANAGER, **connection(intent, run))
    chain: Resource = {"filters": [manager]}
    if intent.tls.certificate:
        chain["transport_socket"] = transport(intent.tls, run)
    return {
        "name": "clients",
        "address": address,
        "per_connection_buffer_limit_bytes": BUFFER,
        "filter_chains": [chain],
    }


def connection(intent: Intent, run: Path) -> Resource:
    """HTTP as we take it: strict paths and headers, times for everything, our own request ids."""
    deadline = intent.deadline
    return {
        "stat_prefix": NAME,
        "rds": {"route_config_name": NAME, "config_source": watched(run / "routes.json")},
        "http_filters": filters(intent),
        "access_log": [access_log(run / "access.log")],
        "local_reply_config": replies(),
        **tracing(intent.traces),
        "early_header_mutation_extensions": [strip()],
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "server_name": "onnxserve",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": intent.limits.header_kib,
        "request_headers_timeout": seconds(deadline.request_s),
        "request_timeout": seconds(deadline.request_s),
        "stream_idle_timeout": seconds(deadline.idle_s),
        "common_http_protocol_options": {
            "idle_timeout": seconds(deadline.idle_s),
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {"max_concurrent_streams": intent.limits.concurrency},
    }


def strip() -> Resource:
    """Take away what only the edge may say; `Describe` too, since HTTP doesn't know case."""
    mutations = [{"remove_on_match": {"key_matcher": {"prefix": STRIPPED}}}, {"remove": DESCRIBE}]
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return extension("envoy.http.early_header_mutation.header_mutation", kind, mutations=mutations)


def filters(intent: Intent) -> list[Resource]:
    """In the order in which a request meets them."""
    whole = extension(
        "envoy.filters.http.buffer",
        "envoy.extensions.filters.http.buffer.v3.Buffer",
        max_request_bytes=intent.limits.body_bytes,
    )
    kind = "envoy.extensions.filters.http.router.v3.Router"
    router = extension("envoy.filters.http.router", kind, suppress_envoy_headers=True)
    limit = [rate(intent.limits.requests_per_second)] if intent.limits.requests_per_second else []
    # Nothing is unpacked for a bad token; who may ask what is known once a call has its path.
    calls = [transcoder(intent)] if intent.listen.grpc else []
    return [*limit, *tokens(intent.auth.jwt), *calls, *permission(intent), whole, router]


def rate(per_second: int) -> Resource:
    """A bucket for all clients together, for the time before a queue would fill."""
    bucket = {"max_tokens": per_second, "tokens_per_fill": per_second, "fill_interval": "1s"}
    on = {"default_value": percent(100)}
    return extension(
        "envoy.filters.http.local_ratelimit",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix=NAME,
        token_bucket=bucket,
        filter_enabled=on,
        filter_enforced=on,
    )


def watched(path: Path) -> Resource:
    """A file that Envoy reads again whenever it is replaced."""
    return {"path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}}}
