"""Until when a request's answer is of use: seconds from its start at the gateway, which names both in headers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from .errors import DeadlineExceeded

START = "x-onnxserve-start"  # seconds since the epoch
DEADLINE = "x-onnxserve-deadline"  # seconds from the start
LONGEST_WAIT_S = 86_400.0  # beyond it a clock was set, or the header is nonsense


def seconds(headers: Mapping[str, Any], name: str) -> float | None:
    """A header's number; None without one, or where it isn't finite."""
    try:
        value = float(headers[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def check_deadline(headers: Mapping[str, Any]) -> None:
    """Raise DeadlineExceeded for a request whose time is over; headers that make no sense are ignored."""
    if DEADLINE not in headers:
        return
    start, allowed = seconds(headers, START), seconds(headers, DEADLINE)
    if start is None or allowed is None or allowed <= 0:
        return
    waited = time.time() - start
    if allowed < waited < LONGEST_WAIT_S:
        raise DeadlineExceeded(
            f"the request waited {waited:.3f} s, {allowed:g} s are allowed",
            where="queue",
            fix="retry later",
        )
