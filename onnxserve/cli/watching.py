"""Observability of `serve`: variables for workers, the observer of the gateway's log, the exporter of metrics."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec

from onnxserve.errors import GatewayError
from onnxserve.gateway import read_config
from onnxserve.gateway.config import Predictions
from onnxserve.gateway.gateway import ADMIN
from onnxserve.monitoring import workers_page
from onnxserve.monitoring.exporter import empty_folder
from onnxserve.monitoring.observer import Observer
from onnxserve.processes.http_socket import RunningServer
from onnxserve.release import release_of
from onnxserve.torchserve import Settings

from .gateway import gateway_of, observe_gateway

TRACES, METRICS, PREDICTIONS = "ONNXSERVE_TRACES", "ONNXSERVE_METRICS", "ONNXSERVE_PREDICTIONS"


def start_monitoring(settings: Settings, running: contextlib.ExitStack) -> tuple[dict[str, str], Observer]:
    """Return variables for the workers, unless the environment sets them, and the observer of the gateway.

    Observer and exporter end with `running`. GatewayError if spans are wanted and can't be made.
    """
    config, variables, pages = read_config(settings.gateway_file), dict[str, str](), list[Callable[[], bytes]]()
    if config.traces.endpoint:
        variables[TRACES] = config.traces.endpoint
    if config.predictions != Predictions():  # they also decide which of a shadow's rows are kept
        variables[PREDICTIONS] = prediction_settings(config.predictions, settings)
    if find_spec("prometheus_client"):
        folder = empty_folder(metrics_folder(settings))
        variables[METRICS] = str(folder)
        pages.append(partial(workers_page, folder))
    observer = running.enter_context(observe_gateway(gateway_of(settings), *pages))
    return {name: value for name, value in variables.items() if name not in os.environ}, observer


def start_console(settings: Settings) -> RunningServer:
    """Start the console's service, by which operators move roles."""
    from onnxserve.admin import Administration, start_admin  # it imports numpy, which only a server needs

    config = read_config(settings.gateway_file)
    administration = Administration(
        keys=Path(config.auth.keys),
        release=lambda by: release_of(settings, by),
        windows=metrics_folder(settings),
        predictions=log_folder(config.predictions, settings) if config.predictions.percent else None,
    )
    return start_admin(settings.run / ADMIN, administration)


def metrics_folder(settings: Settings) -> Path:
    """Return the folder in which workers count."""
    return settings.state.resolve() / "metrics"


def prediction_settings(predictions: Predictions, settings: Settings) -> str:
    """Return the prediction log's settings as handlers read them: JSON."""
    fields = msgspec.structs.asdict(predictions) | {"folder": str(make_log_folder(predictions, settings))}
    return msgspec.json.encode(fields).decode()


def make_log_folder(predictions: Predictions, settings: Settings) -> Path:
    """Make the folder of the prediction log; GatewayError where rows couldn't be kept in it, before anything starts."""
    folder = log_folder(predictions, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        what = f"the prediction log can't be written: {error.strerror}"
        raise GatewayError(what, where=str(folder), fix="name another one in [predictions] folder") from error
    return folder


def log_folder(predictions: Predictions, settings: Settings) -> Path:
    """Return the folder of the prediction log, by default in the state folder."""
    return Path(predictions.folder or settings.state / "predictions").resolve()
