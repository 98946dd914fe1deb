"""What `serve` has watched: what workers are told of it, and who adds up what they count."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from pathlib import Path

import msgspec

from onnxserve.config import Settings
from onnxserve.gateway import Predictions, read_config
from onnxserve.gateway.gateway import METRICS_PAGE

TRACES, METRICS, PREDICTIONS = "ONNXSERVE_TRACES", "ONNXSERVE_METRICS", "ONNXSERVE_PREDICTIONS"


def watching(settings: Settings, running: contextlib.ExitStack) -> dict[str, str]:
    """Variables for the workers, where the environment doesn't say otherwise; the exporter ends with `running`."""
    config, found = read_config(settings.traffic), dict[str, str]()
    if config.traces.endpoint:
        found[TRACES] = config.traces.endpoint
    if config.predictions.percent:
        found[PREDICTIONS] = told(config.predictions, settings)
    if find_spec("prometheus_client"):
        from onnxserve.monitor import start_exporter
        from onnxserve.monitor.exporter import fresh

        folder = fresh(settings.state.resolve() / "metrics")
        running.callback(start_exporter(folder, settings.run / METRICS_PAGE).stop)
        found[METRICS] = str(folder)
    return {name: value for name, value in found.items() if name not in os.environ}


def told(predictions: Predictions, settings: Settings) -> str:
    """The prediction log's settings as handlers read them."""
    fields = msgspec.structs.asdict(predictions) | {"folder": str(log_folder(predictions, settings))}
    return msgspec.json.encode(fields).decode()


def log_folder(predictions: Predictions, settings: Settings) -> Path:
    """Where the prediction log is; relative to the working folder, as the state is."""
    return Path(predictions.folder or settings.state / "predictions").resolve()
