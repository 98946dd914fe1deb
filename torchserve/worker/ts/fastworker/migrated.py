"""The entry point of a migrated archive: a handler that was written for TorchServe, and knows nothing of our gateway.

The gateway retries status 503 and passes a version over that keeps sending it, since our own handlers send 503 only
while they can't answer. A handler of TorchServe's kind answers any fault with 503, a client's bad row too. So its
faults become 500 with a type, which is an answer. TorchServe's request for a description doesn't reach the handler,
which might fail on it, and the batch with it.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from onnxserve_handlers.trust.digests import EVIDENCE, MIGRATION

from .context import Context, Entry

JSON = "application/json"
ERROR = "x-onnxserve-error"
KIND = "internal_error"
DESCRIBE = "describe"
CLIENT_ERRORS = range(400, 500)
log = logging.getLogger(__name__)


def is_migrated(folder: Path) -> bool:
    """Return whether an unpacked archive's handler was written for TorchServe and migrated."""
    return (folder / MIGRATION).is_file()


class MigratedEntry:
    """Calls the handler for the requests that are meant for it."""

    def __init__(self, entry: Entry, folder: Path) -> None:
        self._entry = entry
        self._description = describe(folder)

    def __call__(self, data: list[dict[str, Any]], context: Context) -> list[Any]:
        """Return a body per request; the batch gets one error where the handler fails."""
        processors = context.request_processor
        describes = [processor.get_request_property(DESCRIBE) == "True" for processor in processors]
        if not any(describes):
            return self._predict(data, context)
        indices, ids = [index for index, is_asked in enumerate(describes) if not is_asked], context.request_ids or {}
        context.request_processor = [processors[index] for index in indices]
        context.request_ids = {place: ids[index] for place, index in enumerate(indices)}
        bodies = iter(self._predict([data[index] for index in indices], context) if indices else [])
        context.request_processor, context.request_ids = processors, ids
        return [
            self._describe(context, index) if is_asked else next(bodies) for index, is_asked in enumerate(describes)
        ]

    def _describe(self, context: Context, index: int) -> bytes:
        context.set_response_content_type(index, JSON)
        return self._description

    def _predict(self, data: list[dict[str, Any]], context: Context) -> list[Any]:
        try:
            bodies = self._entry(data, context)
        except (Exception, SystemExit) as error:
            if isinstance(error, MemoryError) or "CUDA" in str(error):
                raise  # the server acts on it
            log.warning("the handler failed", exc_info=error)
            return fail(context, len(data), *status_and_reason(error))
        if not isinstance(bodies, list) or len(bodies) != len(data):
            log.warning("the handler must return a list of %d bodies, got %s", len(data), type(bodies).__name__)
            return fail(context, len(data), 500, "the handler returned another number of answers than requests")
        return bodies


def describe(folder: Path) -> bytes:
    """Return what `GET /models/{model}?customized=true` answers: the evidence, and that nothing else is known."""
    evidence = json.loads((folder / EVIDENCE).read_bytes())["summary"]
    return json.dumps({"evidence": evidence, "drift": "no profile"}).encode()


def status_and_reason(error: BaseException) -> tuple[int, str]:
    """Return the status that a handler chose with PredictionException (`ts/utils/util.py`), else 500.

    Only a reason that the handler wrote for its clients is sent: another exception's text may quote other requests.
    """
    if any(cls.__name__ == "PredictionException" for cls in type(error).__mro__):
        return int(getattr(error, "error_code", 500)), str(getattr(error, "message", error))
    return 500, "the handler failed on this batch"


def fail(context: Context, count: int, status: int, reason: str) -> list[bytes]:
    """Return the same error for all requests of a batch, in the form of our handlers' errors."""
    kind, phrase = ("bad_request", "Bad Request") if status in CLIENT_ERRORS else (KIND, "Internal Server Error")
    body = json.dumps({"error": {"type": kind, "reason": reason, "where": "handler"}}).encode()
    for index in range(count):
        context.set_response_status(status, phrase, index)
        context.set_response_content_type(index, JSON)
        context.set_response_header(index, ERROR, kind)
    return [body] * count
