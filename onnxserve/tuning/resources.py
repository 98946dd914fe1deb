"""The resources of a pod for some archives, measured with each archive's own handler, as values of the chart."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from onnxserve.archive import golden_bodies, max_batch, read_config, summarise, threads_of, unpack_trusted
from onnxserve.archive.offline import answers
from onnxserve.scratch import Scratch

MIB = 2**20
FRONTEND_MIB = 1536  # Java's heap of 1 GiB (config.properties), its code, and the gateway
FRONTEND_CPUS = 1.0  # frontend and gateway together, at a load that workers can follow
MARGIN = 1.25  # of the workers' memory


class Need(NamedTuple):
    """Workers of an archive, threads per worker, and peak memory per worker, MiB, for the largest batch."""

    name: str
    version: str
    workers: int
    threads: int
    megabytes: int


def measure_need(archive: Path) -> Need:
    """Measure an archive: run its largest batch of golden rows in a process of its own."""
    config, summary = read_config(archive), summarise(archive)
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # so that no other archive's peak is counted
        peak = alone.submit(peak_megabytes, archive).result()
    return Need(summary.name, summary.version, int(config["maxWorkers"]), threads_of(config), peak)


def peak_megabytes(archive: Path) -> int:
    """Return the peak memory, MiB, of a process that answers one batch as large as the proof allows."""
    bodies = golden_bodies(archive)
    batch = [bodies[at % len(bodies)] for at in range(max_batch(archive))]
    with Scratch() as scratch:
        unpack_trusted(archive, scratch)
        answers(scratch, batch)
    return math.ceil(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MIB)


def chart_values(needs: Sequence[Need], cpus: int | None = None) -> dict[str, Any]:
    """Return the chart's `resources`; archives that aren't tuned share `cpus`, by default this machine's."""
    usable = cpus or len(os.sched_getaffinity(0))
    cores = sum(need.workers * need.threads for need in needs) + (
        usable if any(not need.threads for need in needs) else 0
    )
    memory = FRONTEND_MIB + math.ceil(MARGIN * sum(need.workers * need.megabytes for need in needs))
    size = f"{memory}Mi"
    return {
        "resources": {
            "requests": {"cpu": f"{cores + FRONTEND_CPUS:g}", "memory": size},
            "limits": {"memory": size},
        }
    }
