"""What TorchServe's log says of a start that failed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

LINES = 15
REFUSED = "Failed to load model"  # the stock worker's words, and ours


def failure_reason(output: Sequence[str]) -> str:
    """Why models were refused, where the log says so, else its last lines; indented, to end an error's text."""
    lines = [readable(line) for line in output]
    # Each failed try repeats the reason after a new time; the text itself is what matters.
    refused = list(dict.fromkeys(line[line.index(REFUSED) :] for line in lines if REFUSED in line))
    return "".join(f"\n    {line}" for line in refused or lines[-LINES:])


def readable(line: str) -> str:
    """An event's level and message; a line that isn't one as it is."""
    try:
        event = msgspec.json.decode(line)
        return f"{event['level']} {event['message']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        return line
