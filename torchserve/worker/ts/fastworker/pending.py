"""Metric values that wait to be printed, and are added up meanwhile."""

from __future__ import annotations

import socket
import threading
import time

COUNTER, GAUGE, HISTOGRAM = "COUNTER", "GAUGE", "HISTOGRAM"
OBSERVATIONS = 1000  # of one histogram in a period; the frontend takes one a line
Key = tuple[str, str, str, str]  # name, unit, dimensions, type


class Pending:
    """Values that aren't printed yet: sums of counters, last values of gauges, observations of histograms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[Key, list[float]] = {}

    def add(self, key: Key, value: float) -> None:
        """Add one value."""
        with self._lock:
            values = self._values.setdefault(key, [])
            if key[3] == HISTOGRAM:
                if len(values) < OBSERVATIONS:
                    values.append(value)
            else:
                values[:] = [values[0] + value if values and key[3] == COUNTER else value]

    def lines(self) -> list[str]:
        """Remove all values, and return one line for each in the format that the frontend reads."""
        with self._lock:
            values, self._values = self._values, {}
        end = f"#hostname:{socket.gethostname()},{int(time.time())}"
        return [
            f"[METRICS]{name}.{unit}:{value}|#{dimensions}|#type:{kind}|{end}"
            for (name, unit, dimensions, kind), added in values.items()
            for value in added
        ]
