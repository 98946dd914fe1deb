"""The engine that gives parts to workers: Daft's native runner on this machine, or Daft on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any, Literal

import msgspec

from onnxserve.errors import BatchError
from onnxserve_handlers.telemetry.prediction_log import leave_pandas_out

from .job import Job, Machine
from .part import Part
from .worker import PartResult, Worker

Engine = Literal["local", "ray"]
QUIET = {"DAFT_ANALYTICS_ENABLED": "0", "DAFT_PROGRESS_BAR": "0", "DO_NOT_TRACK": "true"}
NATIVE = "Dummy-"  # Python's name of a thread that a library has started
YIELD_S = 0.01
LEAVE_S = 5.0


class WorkerProcess:
    """A process of the engine that holds one archive; arguments and results are JSON."""

    def __init__(self, job: bytes, out: str, machine: bytes, max_errors: int | None) -> None:
        settings = msgspec.json.decode(job, type=Job), out, msgspec.json.decode(machine, type=Machine)
        self._work: Worker | None = None
        self._failed = ""
        if settings[0].lookup is None:
            leave_pandas_out()
        try:
            self._work = Worker(*settings, max_errors)
        except Exception as error:  # noqa: BLE001 - the other end reports any error; Daft would show its own insides
            self._failed = f"a worker can't begin: {error}"

    def score(self, parts: Any) -> list[bytes]:
        """Score the parts one after another; parts and results are JSON."""
        decoded = [msgspec.json.decode(part, type=Part) for part in parts.to_pylist()]
        return [msgspec.json.encode(self._score_part(part)) for part in decoded]

    def _score_part(self, part: Part) -> PartResult:
        if self._work is None:
            return PartResult(part.number, 0, 0, (), 0.0, error=self._failed)
        return self._work.try_part(part)


class DaftEngine:
    """Daft, which runs workers in processes."""

    def __init__(self, engine: Engine, address: str = "") -> None:
        os.environ.update(QUIET)
        try:
            import daft
        except ModuleNotFoundError as error:
            raise BatchError("daft is not installed", fix="pip install 'onnxserve[batch]'") from error
        self._daft = daft
        if engine == "ray":
            self._ray(address)
        else:
            # Otherwise Daft imports Ray, if it is installed, to see whether it runs on a cluster: that takes seconds.
            os.environ["DAFT_RUNNER"] = "native"
            daft.get_or_create_runner()

    def _ray(self, address: str) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise BatchError("ray is not installed", fix="pip install 'onnxserve[ray]'") from error
        try:
            ray.init(
                address=address or None, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True
            )
        except Exception as error:  # Ray raises a plain Exception when its own processes don't start in time
            raise BatchError(f"no Ray cluster: {error}", where=address, fix="ray start --head") from error
        self._daft.set_runner_ray(noop_if_initialized=True)

    def run(
        self, job: Job, parts: Sequence[Part], out: str, machine: Machine, max_errors: int | None
    ) -> Generator[PartResult, None, None]:
        """Yield finished parts, nearly in the order in which they finish; a bounded number is under way."""
        daft, before = self._daft, threads_in_python()
        score = daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=1)(WorkerProcess.score)
        kind = type("ScoringWorker", (WorkerProcess,), {"score": score, "__module__": WorkerProcess.__module__})
        workers = min(machine.workers, len(parts))
        actors = daft.cls(kind, use_process=True, max_concurrency=workers, gpus=min(1, machine.gpus))
        worker = actors(msgspec.json.encode(job), out, msgspec.json.encode(machine), max_errors)
        frame = daft.from_pydict({"part": [msgspec.json.encode(part) for part in parts]}).into_batches(1)
        rows: Any = frame.select(worker.score(daft.col("part")).alias("done")).iter_rows()
        try:
            with contextlib.closing(rows):
                for row in rows:
                    yield msgspec.json.decode(row["done"], type=PartResult)
        finally:
            wait_for_native_threads(before)


def threads_in_python() -> set[int]:
    """Return the identifiers of the threads that run Python code."""
    return set(sys._current_frames())  # noqa: SLF001 - documented, and the only list of them all


def wait_for_native_threads(before: set[int]) -> None:
    """Wait until no thread of Daft's runtime runs Python code any more; those of `before` aren't Daft's.

    The one that reports the end of the workers may still wait for the interpreter's lock when its report has arrived.
    If the interpreter ended now, that thread would end the process by a signal.
    """
    deadline = time.monotonic() + LEAVE_S
    while True:
        time.sleep(YIELD_S)  # gives the lock to whoever waits for it
        own = {thread.ident for thread in threading.enumerate() if not thread.name.startswith(NATIVE)}
        if threads_in_python() <= own | before or time.monotonic() > deadline:
            return
