"""A Grafana dashboard of what gateway and workers count: made here, so that every expression can be checked.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from typing import Any, NamedTuple

WIDTH, HEIGHT, COLUMNS = 8, 8, 24
CHOSEN = 'model=~"$model"'
BAD = CHOSEN + ',outcome!="ok"'
ALARMS = f"sum by (model, version) (increase(onnxserve_drift_alarms_total{{{CHOSEN}}}[1h]))"


class Panel(NamedTuple):
    """A graph: what it shows, in which unit, and its lines by legend."""

    title: str
    unit: str
    lines: dict[str, str]


def quantile(share: float, name: str, by: str) -> str:
    """Of a histogram, over five minutes."""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({name}_bucket{{{CHOSEN}}}[5m])))"


def rate(name: str, by: str, chosen: str = CHOSEN) -> str:
    """Of a counter, a second, over five minutes."""
    return f"sum by ({by}) (rate({name}{{{chosen}}}[5m]))"


def mean(name: str, by: str) -> str:
    """Of a histogram, over five minutes."""
    return f"sum by ({by}) (rate({name}_sum{{{CHOSEN}}}[5m])) / sum by ({by}) (rate({name}_count{{{CHOSEN}}}[5m]))"


VERSION = "{{model}} {{version}}"
PANELS = (
    Panel(
        "Requests at the gateway",
        "reqps",
        {"{{code}}": rate("onnxserve_gateway_requests_total", "code", "")},
    ),
    Panel(
        "Latency at the gateway",
        "s",
        {
            f"p50 {VERSION}": quantile(0.5, "onnxserve_gateway_request_seconds", "model, version"),
            f"p99 {VERSION}": quantile(0.99, "onnxserve_gateway_request_seconds", "model, version"),
        },
    ),
    # Little's law: what is under way on average is the time that requests take in a second.
    Panel(
        "Requests under way",
        "short",
        {VERSION: rate("onnxserve_gateway_request_seconds_sum", "model, version")},
    ),
    Panel(
        "Requests that wait, and how many may",
        "short",
        {
            f"waiting {VERSION}": f"onnxserve_queue_requests{{{CHOSEN}}}",
            f"may wait {VERSION}": f"onnxserve_queue_limit{{{CHOSEN}}}",
        },
    ),
    Panel(
        "Failures, of the objective's 0.1 %",
        "percentunit",
        {"1 h": "onnxserve:failures:ratio1h", "6 h": "onnxserve:failures:ratio6h"},
    ),
    Panel(
        "Requests by version",
        "reqps",
        {VERSION: rate("onnxserve_requests_total", "model, version")},
    ),
    Panel(
        "Refusals and failures of workers by kind",
        "reqps",
        {"{{model}} {{outcome}}": rate("onnxserve_requests_total", "model, outcome", BAD)},
    ),
    Panel(
        "Refused by the gateway",
        "reqps",
        {"{{model}} {{type}}": rate("onnxserve_gateway_refusals_total", "model, type", "")},
    ),
    Panel(
        "Less than asked for",
        "reqps",
        {"{{model}} {{how}}": rate("onnxserve_gateway_degraded_total", "model, how")},
    ),
    Panel(
        "Versions left alone",
        "short",
        {VERSION: f"sum by (model, version) (increase(onnxserve_gateway_ejections_total{{{CHOSEN}}}[5m]))"},
    ),
    Panel(
        "Stages of a batch, p99",
        "s",
        {"{{model}} {{stage}}": quantile(0.99, "onnxserve_stage_seconds", "model, stage")},
    ),
    Panel("Stages of a batch, mean", "s", {"{{model}} {{stage}}": mean("onnxserve_stage_seconds", "model, stage")}),
    Panel(
        "Rows and requests of a batch",
        "short",
        {
            "rows {{model}}": mean("onnxserve_batch_rows", "model"),
            "requests {{model}}": mean("onnxserve_batch_requests", "model"),
        },
    ),
    Panel("Padding", "percentunit", {"{{model}}": mean("onnxserve_padding_share", "model")}),
    Panel(
        "Length of a batch's longest row, p99", "short", {"{{model}}": quantile(0.99, "onnxserve_row_length", "model")}
    ),
    Panel(
        "Drift: PSI of the last window", "short", {"{{model}} {{measure}}": f'onnxserve_drift{{{CHOSEN},stat="psi"}}'}
    ),
    Panel(
        "Windows with an alarm",
        "short",
        {VERSION: ALARMS},
    ),
    Panel("Mean score", "percentunit", {VERSION: f"avg by (model, version) (onnxserve_score_mean{{{CHOSEN}}})"}),
    Panel(
        "Answers from the cache",
        "percentunit",
        {
            "{{model}}": 'sum by (model) (rate(onnxserve_cache_answers_total{cache="hit"}[5m]))'
            " / sum by (model) (rate(onnxserve_cache_answers_total[5m]))"
        },
    ),
    Panel("Workers", "short", {VERSION + " {{provider}}, {{threads}} threads": f"onnxserve_worker_info{{{CHOSEN}}}"}),
)


def dashboard() -> dict[str, Any]:
    """The whole, for Grafana's import."""
    model = {
        "name": "model",
        "type": "query",
        "label": "Model",
        "query": "label_values(onnxserve_requests_total, model)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }
    return {
        "uid": "onnxserve",
        "title": "onnxserve",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [model]},
        "panels": [panel(place, one) for place, one in enumerate(PANELS)],
    }


def panel(place: int, one: Panel) -> dict[str, Any]:
    """One graph, three a row."""
    across = COLUMNS // WIDTH
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": one.title,
        "gridPos": {"x": place % across * WIDTH, "y": place // across * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": one.unit, "min": 0}},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": expression, "legendFormat": legend}
            for at, (legend, expression) in enumerate(one.lines.items())
        ],
    }


def expressions() -> list[str]:
    """Every query, with the variable as Grafana would fill it in."""
    return [text.replace("$model", ".*") for one in PANELS for text in one.lines.values()]
