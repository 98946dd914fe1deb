"""One batch through a handler; whatever the handler does, there is an answer."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

from .answers import Unserialisable, answered, refused
from .context import Context, RequestProcessor
from .lines import lines
from .loader import Entry
from .messages import Request

DECODE = os.environ.get("TS_DECODE_INPUT_REQUEST", "true") == "true"  # set by the frontend
log = logging.getLogger(__name__)


def decoded(kind: str, value: bytearray) -> Any:
    """A parameter's value; JSON and text are decoded unless `decode_input_request` is off."""
    if not DECODE:
        return value
    try:
        if kind == "application/json":
            return json.loads(value)
        if kind.startswith("text"):
            return value.decode()
    except (ValueError, RecursionError):
        log.warning("Failed decoding of input data. Forwarding encoded payload", exc_info=True)
    return value


class Service:
    """A loaded model."""

    def __init__(self, entry: Entry, context: Context) -> None:
        self._entry = entry
        self.context = context
        self._took = context.metrics.gauge("PredictionTime", "ms")

    def predict(self, requests: list[Request]) -> bytes:
        """The answer to one batch, encoded."""
        lines.batch = requests
        try:
            return self._predict(requests)
        finally:
            lines.batch = ()

    def _predict(self, requests: list[Request]) -> bytes:
        ids = [request.id for request in requests]
        data = [{name: decoded(kind, value) for name, kind, value in request.parameters} for request in requests]
        context = self.context
        context.request_ids = dict(enumerate(ids))
        context.request_processor = [RequestProcessor(request) for request in requests]
        context.metrics.set_request_ids(context.request_ids)
        start = time.perf_counter()
        try:
            values = self._entry(data, context)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler's fault must not end the worker
            return refused(ids, *fault(error))
        if not isinstance(values, list):
            log.warning("model: %s, Invalid return type: %s.", context.model_name, type(values))
            return refused(ids, 503, "Invalid model predict output")
        if len(values) != len(ids):
            log.warning("model: %s, %d answers for %d requests", context.model_name, len(values), len(ids))
            return refused(ids, 503, "number of batch response mismatched")
        self._took(round((time.perf_counter() - start) * 1000, 2))
        return encoded(ids, values, context)


def encoded(ids: list[str], values: list[Any], context: Context) -> bytes:
    """The answers, or an error for all when one of them can't be sent."""
    try:
        return answered(ids, values, context)
    except Unserialisable:
        log.warning("Unable to serialize model output.", exc_info=True)
        return refused(ids, 503, "Unsupported model output data type.")
    except Exception:
        log.exception("the answers can't be encoded")
        return refused(ids, 503, "Prediction failed")


def fault(error: BaseException) -> tuple[int, str]:
    """Code and message for what a handler raised."""
    if any(cls.__name__ == "PredictionException" for cls in type(error).__mro__):  # ts.utils.util's
        log.error("Prediction error", exc_info=error)
        return int(getattr(error, "error_code", 500)), str(getattr(error, "message", error))
    if isinstance(error, MemoryError) or "CUDA" in str(error):
        log.error("out of memory", exc_info=error)
        return 507, "Out of resources"
    log.warning("Invoking custom service failed.", exc_info=error)
    return 503, "Prediction failed"
