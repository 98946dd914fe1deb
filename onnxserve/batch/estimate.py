"""An estimate of a job, from a sample that is scored."""

from __future__ import annotations

import msgspec

from onnxserve.errors import BatchError
from onnxserve.scratch import Scratch

from .engine import DaftEngine
from .job import Machine, Plan

SAMPLE_COLUMNAR, SAMPLE = 50_000, 48  # rows


class Estimate(msgspec.Struct, frozen=True):
    """Time and size of a whole job, if all rows are like the sample's."""

    rows: int
    parts: int
    sampled: int
    failed: int
    rows_per_second: float
    seconds: float
    cpu_hours: float
    output_bytes: int
    cost: float  # in the currency of the price


def estimate(plan: Plan, engines: DaftEngine, machine: Machine, price: float) -> Estimate:
    """Score the first rows twice, the first time to warm up, into a temporary folder; BatchError without rows."""
    if not plan.rows:
        raise BatchError("the sources have no rows", fix="name files that have rows")
    rows = SAMPLE_COLUMNAR if plan.job.selection.numbers else SAMPLE
    first = plan.parts[0]
    some = msgspec.structs.replace(first, rows=min(first.rows, rows), number=0)
    warm = msgspec.structs.replace(some, number=1)
    with Scratch() as folder:
        lone = msgspec.structs.replace(machine, workers=1)
        results = list(engines.run(plan.job, [warm, some], str(folder), lone, None))
    if faults := [sample.error for sample in results if sample.error]:
        raise BatchError(faults[0])
    sample = min(results, key=lambda result: result.seconds)
    rate = machine.workers * sample.rows / sample.seconds
    seconds = plan.rows / rate
    hours = seconds * machine.workers * machine.threads / 3600
    size = round(sum(file.bytes for file in sample.files) / sample.rows * plan.rows)
    return Estimate(plan.rows, len(plan.parts), sample.rows, sample.failed, rate, seconds, hours, size, hours * price)
