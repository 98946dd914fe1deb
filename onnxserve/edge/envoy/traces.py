"""Spans of the edge, sent as OTLP over HTTP; the W3C context goes on to the worker in `traceparent`."""

from __future__ import annotations

from urllib.parse import urlsplit

from onnxserve.edge.intent import Traces

from .typed import Resource, extension

CLUSTER = "traces"
PATH = "/v1/traces"
TIMEOUT = "1s"
SERVICE = "onnxserve-edge"


def tracing(traces: Traces) -> Resource:
    """The connection manager's part; empty where no collector is named."""
    if not traces.endpoint:
        return {}
    where = {"uri": traces.endpoint.rstrip("/") + PATH, "cluster": CLUSTER, "timeout": TIMEOUT}
    provider = extension(
        "envoy.tracers.opentelemetry",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        http_service={"http_uri": where},
        service_name=SERVICE,
    )
    share = {"value": traces.percent}
    return {"tracing": {"provider": provider, "random_sampling": share, "spawn_upstream_span": True}}


def collector(traces: Traces) -> list[Resource]:
    """The collector's cluster; one that is gone costs spans, never requests."""
    if not traces.endpoint:
        return []
    where = urlsplit(traces.endpoint)
    address = {"socket_address": {"address": where.hostname, "port_value": where.port}}
    return [
        {
            "name": CLUSTER,
            "type": "STRICT_DNS",
            "connect_timeout": TIMEOUT,
            "load_assignment": {
                "cluster_name": CLUSTER,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
    ]
