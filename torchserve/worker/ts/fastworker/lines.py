"""The worker's output: log records as one JSON object per line, and the plain lines that the frontend reads."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from types import TracebackType

from onnxserve_handlers.errors import stack_of

from .messages import Request

# Keys in HTTP headers and passwords in addresses, which an exception's text may quote.
SECRETS = re.compile(r"(?i)((?:bearer|basic)\s+|x-api-key['\":=\s]+|://[^/\s:@]+:)[^\s'\",@]+|\bosk_[\w-]+")
REQUEST_ID = "x-request-id"
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Lines(logging.Formatter):
    """Formats a record with time, level, logger, message, model, version, ids of the batch's requests, and `extra`."""

    def __init__(self) -> None:
        super().__init__()
        self.model_fields: dict[str, str] = {}
        self.batch: Sequence[Request] = ()  # the current one

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        milliseconds = int(record.msecs)
        fields = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{milliseconds:03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": redact_secrets(record.getMessage()),
            **self.model_fields,
            **self._request_fields(),
            **{name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS},
        }
        if record.exc_info:
            fields["exception"] = redact_secrets(self._exception(record.exc_info))
        return json.dumps(fields, default=str)

    def _exception(self, info: ExcInfo) -> str:
        """Return the traceback; during a batch it has no messages, since they may quote the requests."""
        return stack_of(info[1]) if self.batch and info[1] is not None else self.formatException(info)

    def _request_fields(self) -> dict[str, list[str]]:
        """Return the batch's request ids: those that clients see where the gateway set one, else the frontend's."""
        if not self.batch:
            return {}
        return {"requests": [request.headers.get(REQUEST_ID, request.id) for request in self.batch]}


def redact_secrets(text: str) -> str:
    """Return the text without keys and passwords, as far as they can be recognised."""
    return SECRETS.sub(lambda match: f"{match[1] or ''}[redacted]", text)


def print_line(text: str) -> None:
    """Print a line that the frontend waits for or counts."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


lines = Lines()
