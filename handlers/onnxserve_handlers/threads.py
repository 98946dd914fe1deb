"""How many threads a worker may use: workers x intra_op never exceeds the CPU quota."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cgroup_cpus(root: Path = CGROUP) -> float | None:
    """CPUs that the container may use (cgroup v2 `cpu.max`, then v1), None when unlimited."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


def usable_cpus(root: Path = CGROUP) -> int:
    """Whole CPUs for this process: the smaller of its affinity and its quota, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cpus(root)
    return max(1, affinity if quota is None else min(affinity, int(quota)))


def intra_op_threads(workers: int, asked: int = 0, root: Path = CGROUP) -> int:
    """Threads for one of `workers` workers; `asked` > 0 overrides."""
    return asked if asked > 0 else max(1, usable_cpus(root) // max(1, workers))
