"""How many users when: steady, ramp, spike, soak; chosen by LOAD_SHAPE."""

from __future__ import annotations

import os
from typing import NamedTuple


class Stage(NamedTuple):
    """Until `until` seconds after the start there are `users`, changed at `rate` a second."""

    until: int
    users: int
    rate: float


def stages(shape: str, users: int, seconds: int) -> list[Stage]:
    """The stages of one shape, scaled to a number of users and a length in seconds."""
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
    """The stages that LOAD_SHAPE, LOAD_USERS and LOAD_SECONDS ask for."""
    shape = os.environ.get("LOAD_SHAPE", "steady")
    return stages(shape, int(os.environ.get("LOAD_USERS", "16")), int(os.environ.get("LOAD_SECONDS", "30")))


def at(plan: list[Stage], seconds: float) -> tuple[int, float] | None:
    """Users and rate at a time, None when the plan is over."""
    for step in plan:
        if seconds < step.until:
            return step.users, step.rate
    return None
