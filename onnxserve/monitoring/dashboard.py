"""A Grafana dashboard of the metrics of gateway and workers, built here so that tests can check each expression.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from typing import Any, NamedTuple

WIDTH, HEIGHT, COLUMNS = 8, 8, 24
CHOSEN = 'model=~"$model"'
BAD = CHOSEN + ',outcome!="ok"'
ALARMS = f"sum by (model, version) (increase(onnxserve_drift_alarms_total{{{CHOSEN}}}[1h]))"


class Panel(NamedTuple):
    """A graph: its title, its unit, and its expressions by legend."""

    title: str
    unit: str
    lines: dict[str, str]


def quantile(share: float, name: str, by: str) -> str:
    """Return the PromQL expression of a histogram's quantile over five minutes; `share` is from 0 to 1."""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({name}_bucket{{{CHOSEN}}}[5m])))"


def rate(name: str, by: str, chosen: str = CHOSEN) -> str:
    """Return the PromQL expression of a counter's rate per second over five minutes."""
    return f"sum by ({by}) (rate({name}{{{chosen}}}[5m]))"


def mean(name: str, by: str) -> str:
    """Return the PromQL expression of a histogram's mean over five minutes."""
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
    # Little's law: the average number under way equals the time that requests take per second.
    Panel(
        "Requests under way",
        "short",
        {VERSION: rate("onnxserve_gateway_request_seconds_sum", "model, version")},
    ),
    Panel(
        "Waiting requests and their limit",
        "short",
        {
            f"waiting {VERSION}": f"onnxserve_queue_requests{{{CHOSEN}}}",
            f"limit {VERSION}": f"onnxserve_queue_limit{{{CHOSEN}}}",
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
        "Degraded answers",
        "reqps",
        {"{{model}} {{how}}": rate("onnxserve_gateway_degraded_total", "model, how")},
    ),
    Panel(
        "Ejected versions",
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
    """Return the dashboard document for Grafana's import."""
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
        "panels": [panel_document(index, panel) for index, panel in enumerate(PANELS)],
    }


def panel_document(index: int, panel: Panel) -> dict[str, Any]:
    """Return the document of one graph; three graphs lie in a row."""
    across = COLUMNS // WIDTH
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "gridPos": {"x": index % across * WIDTH, "y": index // across * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": expression, "legendFormat": legend}
            for at, (legend, expression) in enumerate(panel.lines.items())
        ],
    }


def expressions() -> list[str]:
    """Return every query, with the variable filled in as Grafana does."""
    return [text.replace("$model", ".*") for panel in PANELS for text in panel.lines.values()]
