"""Runs one batch through a handler; whatever the handler does, every request gets a response."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

from .context import Context, Entry, RequestProcessor
from .lines import lines
from .messages import Request
from .responses import Unserialisable, encode_error, encode_responses

DECODE = os.environ.get("TS_DECODE_INPUT_REQUEST", "true") == "true"  # the frontend sets it
log = logging.getLogger(__name__)


def decode(kind: str, value: bytearray) -> Any:
    """Return a parameter's value: JSON and text decoded, anything else as it is."""
    try:
        if kind == "application/json":
            return json.loads(value)
        if kind.startswith("text"):
            return value.decode()
    except (ValueError, RecursionError):
        log.warning("Failed decoding of input data. Forwarding encoded payload", exc_info=True)
    return value


def pass_through(kind: str, value: bytearray) -> bytearray:  # noqa: ARG001 - the parameters of `decode`
    """Return a parameter's value as it came, where `decode_input_request` is off."""
    return value


class Service:
    """A loaded model."""

    def __init__(self, entry: Entry, context: Context) -> None:
        self._entry = entry
        self.context = context
        self._set_prediction_time = context.metrics.gauge("PredictionTime", "ms")

    def predict(self, requests: list[Request]) -> bytes:
        """Return the encoded responses to one batch."""
        lines.batch = requests
        try:
            return self._predict(requests)
        finally:
            lines.batch = ()

    def _predict(self, requests: list[Request]) -> bytes:
        ids = [request.id for request in requests]
        context = self.context
        read = decode if context.decodes or DECODE else pass_through
        data = [{name: read(kind, value) for name, kind, value in request.parameters} for request in requests]
        context.request_ids = dict(enumerate(ids))
        context.request_processor = [RequestProcessor(request) for request in requests]
        context.metrics.set_request_ids(context.request_ids)
        start = time.perf_counter()
        try:
            values = self._entry(data, context)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler's fault must not end the worker
            return encode_error(ids, *code_and_message(error))
        if not isinstance(values, list):
            log.warning("model: %s, Invalid return type: %s.", context.model_name, type(values))
            return encode_error(ids, 503, "Invalid model predict output")
        if len(values) != len(ids):
            log.warning("model: %s, %d answers for %d requests", context.model_name, len(values), len(ids))
            return encode_error(ids, 503, "number of batch response mismatched")
        self._set_prediction_time(round((time.perf_counter() - start) * 1000, 2))
        return encode(ids, values, context)


def encode(ids: list[str], values: list[Any], context: Context) -> bytes:
    """Encode the responses, or an error for all requests if one of the values can't be sent."""
    try:
        return encode_responses(ids, values, context)
    except Unserialisable:
        log.warning("Unable to serialize model output.", exc_info=True)
        return encode_error(ids, 503, "Unsupported model output data type.")
    except Exception:
        log.exception("the answers can't be encoded")
        return encode_error(ids, 503, "Prediction failed")


def code_and_message(error: BaseException) -> tuple[int, str]:
    """Return TorchServe's status code and message for what a handler raised."""
    if any(cls.__name__ == "PredictionException" for cls in type(error).__mro__):  # ts.utils.util's
        log.error("Prediction error", exc_info=error)
        return int(getattr(error, "error_code", 500)), str(getattr(error, "message", error))
    if isinstance(error, MemoryError) or "CUDA" in str(error):
        log.error("out of memory", exc_info=error)
        return 507, "Out of resources"
    log.warning("Invoking custom service failed.", exc_info=error)
    return 503, "Prediction failed"
