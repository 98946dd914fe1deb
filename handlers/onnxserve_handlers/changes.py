"""Whether scores change while a worker lives, whatever they were when the model was proven: ADWIN, as river has it.

Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SIAM International Conference on Data
Mining, 2007. river's own module brings pandas and scipy into the process, 160 MB of them; its core brings nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)
# river's defaults: its bound on false alarms; values between two looks; and how many buckets of a size are kept.
DELTA, CLOCK, BUCKETS, LEAST, GRACE = 0.002, 32, 5, 5, 10


class Changes:
    """A window of scores that grows while they stay alike, and lets go of the older part when they don't."""

    def __init__(self, window: Callable[..., Any], told: Callable[[float, int], None]) -> None:
        self._scores, self._told = window(DELTA, CLOCK, BUCKETS, LEAST, GRACE), told

    def see(self, scores: Sequence[float]) -> None:
        """Some more; told are the mean of the window and how many changes they brought."""
        found = sum(map(self._scores.update, scores))
        self._told(self._scores.get_total() / max(self._scores.get_width(), 1), found)


def window() -> Callable[..., Any] | None:
    """river's; None where it is not installed."""
    try:
        from river._river_rust.drift import AdaptiveWindowing
    except ImportError:
        log.info("river is not installed: no change of scores is looked for")
        return None
    found: Callable[..., Any] = AdaptiveWindowing
    return found
