"""The delay before a service is restarted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Backoff:
    """A delay that doubles from `first_s` up to `most_s`; it starts over after a service has run for `calm_s`."""

    first_s: float = 0.5
    most_s: float = 30.0
    calm_s: float = 60.0
    _failures: int = 0

    def delay(self, ran_s: float) -> float:
        """Return the seconds to wait after a service ended that had run for `ran_s`."""
        if ran_s >= self.calm_s:
            self._failures = 0
        seconds = min(self.most_s, self.first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, 32)
        return seconds
