"""What TorchServe's log says of a start that failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

LINES = 15
REFUSED = "Failed to load model"  # the stock worker's words, and ours


def failure_reason(output: Sequence[str]) -> str:
    """Why models were refused, where the log says so, else its last lines; indented, to end an error's text."""
    lines = [readable(line) for line in output]
    # Each failed try repeats the reason after a new time; the text itself is what matters.
    refused = list(dict.fromkeys(line[line.index(REFUSED) :] for line in lines if REFUSED in line))
    return "".join(f"\n    {line}" for line in refused or lines[-LINES:])


def refusals(output: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often a worker of each model and version has failed to load it."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in output:
        if REFUSED in line and (version := _version(line)):
            counts[version] += 1
    return counts


def _version(line: str) -> tuple[str, str] | None:
    """The model and version that an event of our worker names; of the stock worker's, its thread's name has them."""
    try:
        event: dict[str, Any] = msgspec.json.decode(line)
        if "model" in event:
            return event["model"], event["version"]
        thread = re.fullmatch(r"W-\d+-(.+)_([^_]+)-std(?:out|err)", event["thread"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return (thread[1], thread[2]) if thread else None


def readable(line: str) -> str:
    """An event's level and message; a line that isn't one as it is."""
    try:
        event = msgspec.json.decode(line)
        return f"{event['level']} {event['message']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        return line
