"""Failures to load models, read from TorchServe's log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

LINES = 15
REFUSED = "Failed to load model"  # the message of the stock worker and of ours


def failure_reason(output: Sequence[str]) -> str:
    """Return why models failed to load, else the last lines of the log; indented, to be appended to an error text."""
    lines = [format_event(line) for line in output]
    # Each failed try repeats the reason with another time before it.
    refused = list(dict.fromkeys(line[line.index(REFUSED) :] for line in lines if REFUSED in line))
    return "".join(f"\n    {line}" for line in refused or lines[-LINES:])


def refusals(output: Sequence[str]) -> Counter[tuple[str, str]]:
    """Count by model and version how often a worker failed to load."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in output:
        if REFUSED in line and (version := _version(line)):
            counts[version] += 1
    return counts


def _version(line: str) -> tuple[str, str] | None:
    """Return model and version of an event: our worker names them, the stock worker's thread name contains them."""
    try:
        event: dict[str, Any] = msgspec.json.decode(line)
        if "model" in event:
            return event["model"], event["version"]
        thread = re.fullmatch(r"W-\d+-(.+)_([^_]+)-std(?:out|err)", event["thread"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return None
    return (thread[1], thread[2]) if thread else None


def format_event(line: str) -> str:
    """Return level and message of an event; any other line unchanged."""
    try:
        event = msgspec.json.decode(line)
        return f"{event['level']} {event['message']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        return line
