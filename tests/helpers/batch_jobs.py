"""Jobs of batch scoring in this process, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from onnxserve.batch import Folder, Job, JobRequest, Machine, Manifest, job_of, lock_output, plan_of, score
from onnxserve.batch.part import Part
from onnxserve.batch.worker import PartResult, Worker

ONE = Machine(1)


class Here:
    """An engine without processes; `test_the_engines_write_the_same_and_survive_such_rows` holds it to Daft."""

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.done: list[int] = []
        self.is_closed = False

    def run(
        self, job: Job, parts: Sequence[Part], out: str, machine: Machine, max_errors: int | None
    ) -> Generator[PartResult, None, None]:
        try:
            with contextlib.closing(Worker(job, out, machine, max_errors)) as work:
                for part in parts[: self.most]:
                    self.done.append(part.number)
                    yield work.try_part(part)
        finally:
            self.is_closed = True
        if len(parts) > self.most:
            raise KeyboardInterrupt


def run(
    archive: str | Path,
    source: str | Path,
    out: str | Path,
    engine: Here | None = None,
    errors: int | None = None,
    **more: Any,
) -> Manifest:
    job = job_of(JobRequest(str(archive), (str(source),), **{"part_rows": 100, "keep": ("id",), **more}))
    folder = Folder(str(out))
    with lock_output(folder):
        return score(plan_of(job, folder), folder, engine or Here(), ONE, errors, lambda _: None)


def read(out: str | Path) -> pa.Table:
    return ds.dataset(str(out), format="parquet", partitioning="hive").to_table().sort_by("row")
