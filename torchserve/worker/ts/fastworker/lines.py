"""What the worker prints: events as one JSON object a line, and, as they are, the lines that the frontend reads."""

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

# Keys and passwords that an exception's text may quote: of HTTP headers, and of addresses.
SECRETS = re.compile(r"(?i)((?:bearer|basic)\s+|x-api-key['\":=\s]+|://[^/\s:@]+:)[^\s'\",@]+|\bosk_[\w-]+")
ID = "x-request-id"
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Lines(logging.Formatter):
    """Time, level, logger and message; model and version; ids of the batch's requests; a caller's `extra`."""

    def __init__(self) -> None:
        super().__init__()
        self.about: dict[str, str] = {}
        self.batch: Sequence[Request] = ()  # under way

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        milliseconds = int(record.msecs)
        found = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{milliseconds:03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
            **self.about,
            **self._requests(),
            **{name: value for name, value in vars(record).items() if name not in OWN},
        }
        if record.exc_info:
            found["exception"] = redacted(self._exception(record.exc_info))
        return json.dumps(found, default=str)

    def _exception(self, info: ExcInfo) -> str:
        """Without messages while there are requests: they may quote those."""
        return stack_of(info[1]) if self.batch and info[1] is not None else self.formatException(info)

    def _requests(self) -> dict[str, list[str]]:
        """By the id that their callers see, where the gateway gave them one."""
        return {"requests": [request.headers.get(ID, request.id) for request in self.batch]} if self.batch else {}


def redacted(text: str) -> str:
    """Without what looks like a key or a password."""
    return SECRETS.sub(lambda found: f"{found[1] or ''}[redacted]", text)


def say(text: str) -> None:
    """A line that the frontend waits for or counts."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


lines = Lines()
