"""The run of a job: score the parts that are left, then write a manifest."""

from __future__ import annotations

import contextlib
import fcntl
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from onnxserve.errors import BatchError

from .job import Job, Machine, Plan
from .output import LOCK, STATE, Folder
from .part import Part
from .worker import PartResult, quarantine_path, record_path

MANIFEST = "_manifest.json"
QUARANTINE = "_quarantine.jsonl"
PARTIAL = re.compile(r"\..+\.(parquet|jsonl?)\.\d+")  # the names that output.Stream gives to unfinished files
Progress = Callable[[PartResult], None]


class PartRunner(Protocol):
    """An engine."""

    def run(
        self, job: Job, parts: Sequence[Part], out: str, machine: Machine, errors: int | None, /
    ) -> Iterator[PartResult]:
        """Finished parts, as they finish."""


class Manifest(msgspec.Struct, frozen=True):
    """The files and counts of a finished job."""

    model: str
    version: str
    archive: str
    rows: int
    scored: int
    failed: int
    parts: int
    files: dict[str, dict[str, object]]
    sources: tuple[dict[str, object], ...]
    golden_deviation: float
    seconds: float  # of all workers together
    skipped: tuple[str, ...] = ()  # files of an unknown format


def finished_parts(plan: Plan, out: Folder) -> dict[int, PartResult]:
    """Return the results of the parts that are recorded as finished."""
    there = set(out.names(f"{STATE}/parts"))
    results = {}
    for part in plan.parts:
        name = record_path(part.number)
        if Path(name).name in there and (content := out.read(name)):
            results[part.number] = msgspec.json.decode(content, type=PartResult)
    return results


def score(
    plan: Plan, out: Folder, engine: PartRunner, machine: Machine, errors: int | None, progress: Progress
) -> Manifest:
    """Score the parts that are left; BatchError if a part fails or too many rows are bad."""
    results = finished_parts(plan, out)
    failed = sum(result.failed for result in results.values())
    _check_error_limit(failed, errors, out)
    left = [part for part in plan.parts if part.number not in results]
    for result in engine.run(plan.job, left, out.url, machine, errors) if left else ():
        if result.error:
            raise BatchError(result.error, fix="finished parts are kept: the same command resumes the job")
        results[result.number] = result
        failed += result.failed
        progress(result)
        _check_error_limit(failed, errors, out)
    return _write_manifest(plan, out, results)


def _check_error_limit(failed: int, errors: int | None, out: Folder) -> None:
    if errors is not None and failed > errors:
        raise BatchError(
            f"{failed} bad rows, at most {errors} are allowed",
            where=f"{out.url}/{STATE}/quarantine",
            fix="read them there; the same command with a larger --max-errors resumes the job",
        )


def _write_manifest(plan: Plan, out: Folder, results: dict[int, PartResult]) -> Manifest:
    parts = [results[part.number] for part in plan.parts]
    with out.create(QUARANTINE) as stream:
        for result in parts:
            stream.write(out.read(quarantine_path(result.number)) or b"")
    job, rows, failed = plan.job, sum(result.rows for result in parts), sum(result.failed for result in parts)
    manifest = Manifest(
        model=job.model.name,
        version=job.model.version,
        archive=job.model.sha256,
        rows=rows,
        scored=rows - failed,
        failed=failed,
        parts=len(parts),
        files={
            file.name: {"rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for result in parts
            for file in result.files
        },
        sources=tuple({"url": source.url, "bytes": source.size, "mark": source.mark} for source in job.sources),
        golden_deviation=max((result.deviation for result in parts), default=0.0),
        seconds=sum(result.seconds for result in parts),
        skipped=job.skipped,
    )
    out.write(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


@contextlib.contextmanager
def lock_output(out: Folder) -> Iterator[None]:
    """Hold the lock of an output folder on this machine; object stores have no such lock. BatchError if it is taken."""
    if not out.local:
        yield
        return
    path = Path(out.path(f"{STATE}/{LOCK}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BatchError("another process works on this output", where=out.url, fix="wait for it") from error
        sweep(Path(out.root))
        yield


def sweep(folder: Path) -> None:
    """Delete the unfinished files of a killed worker."""
    for path in folder.rglob(".*"):
        if PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)
