"""Number of users over time: steady, ramp, spike or soak; LOAD_SHAPE selects one."""

from __future__ import annotations

import os
from typing import NamedTuple


class Stage(NamedTuple):
    """A stage that ends `until` seconds after the start; the number of users moves to `users` at `rate` per second."""

    until: int
    users: int
    rate: float


def stages(shape: str, users: int, seconds: int) -> list[Stage]:
    """Return the stages of a shape, scaled to a number of users and a length in seconds."""
    if shape == "steady":
        return [Stage(seconds, users, users)]
    if shape == "ramp":
        steps = 5
        return [Stage(seconds * (i + 1) // steps, max(1, users * (i + 1) // steps), users) for i in range(steps)]
    if shape == "spike":
        low = max(1, users // 10)
        return [Stage(seconds // 3, low, users), Stage(2 * seconds // 3, users, users), Stage(seconds, low, users)]
    if shape == "soak":
        return [Stage(seconds * 60, max(1, users // 2), users)]
    raise ValueError(f"LOAD_SHAPE={shape!r}; choose steady, ramp, spike or soak")


def chosen() -> list[Stage]:
    """Return the stages that LOAD_SHAPE, LOAD_USERS and LOAD_SECONDS select."""
    shape = os.environ.get("LOAD_SHAPE", "steady")
    return stages(shape, int(os.environ.get("LOAD_USERS", "16")), int(os.environ.get("LOAD_SECONDS", "30")))


def at(plan: list[Stage], seconds: float) -> tuple[int, float] | None:
    """Return users and rate at a time, None after the end of the plan."""
    for step in plan:
        if seconds < step.until:
            return step.users, step.rate
    return None
