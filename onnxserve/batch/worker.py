"""A worker: it reads, scores and writes one part after another; a part counts once it is recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import msgspec
import pyarrow as pa

from onnxserve.archive import file_digest, unpack_trusted
from onnxserve.errors import BatchError, OnnxserveError
from onnxserve.scratch import Scratch

from .chunk import Chunk, Fault
from .gpu import claim
from .job import Job, Machine
from .output import STATE, Folder, Stream, Writer, WrittenFile
from .output_rows import answer_table
from .part import ALBUMS, Part
from .process_scorer import ProcessScorer, Settings
from .readers import read
from .scorer import Answers, Scorer, check_bulk

if TYPE_CHECKING:
    from .feature_join import FeatureJoin

REDACTED = "redacted"
FAULT_BYTES = 2000  # of a bad row, for the quarantine


class PartResult(msgspec.Struct, frozen=True):
    """The result of a part; its record is written after its files."""

    number: int
    rows: int
    failed: int
    files: tuple[WrittenFile, ...]
    seconds: float
    deviation: float = 0.0
    error: str = ""  # why the part failed; the other fields are then empty


class Worker:
    """An archive, a scorer and the folder that parts are written to."""

    def __init__(self, job: Job, out: str, machine: Machine, max_errors: int | None = None) -> None:
        pa.set_cpu_count(1)  # as many workers as processors
        self._job, self._max_errors = job, max_errors
        self._folder = Folder(out)
        self._scratch = Scratch()
        self._joiner = self._open_features()
        try:
            self._scorer = self._make_scorer(self._scratch.path, machine)
        except BaseException:
            self._scratch.remove()
            raise

    def _open_features(self) -> FeatureJoin | None:
        if self._job.lookup is None:
            return None
        # Imported here, as for a server below: the clients take longer than the rest, and every process that scores
        # imports this package.
        from .feature_join import FeatureJoin

        return FeatureJoin(self._job.lookup, self._job.model.columns, self._job.model.types)

    def _make_scorer(self, scratch: Path, machine: Machine) -> Scorer:
        folder = scratch / "archive"
        with local_archive(self._job.model.path, scratch) as archive:
            unpack_trusted(archive, folder)
            digest = file_digest(archive)
        if digest != self._job.model.sha256:
            raise BatchError(
                "the archive is not the one that the job began with",
                where=self._job.model.path,
                fix="restore that archive, or start again with --restart",
            )
        if self._job.remote is not None:
            from .remote import KEY, RemoteScorer

            key = os.environ.get(KEY, "")
            return RemoteScorer(folder, self._job.model, self._job.remote, self._job.batch, key)
        check_bulk(folder)
        gpu = claim(machine.gpus) if machine.gpus else None
        config = {"threads": machine.threads, "provider": machine.provider}
        shape = self._job.shape
        return ProcessScorer(Settings(folder, config, self._job.batch, gpu, outputs=shape.scores or shape.outputs))

    def close(self) -> None:
        """Close the scorer and delete the unpacked archive."""
        self._scorer.close()
        self._scratch.remove()

    def do(self, part: Part) -> PartResult:
        """Score one part and write its files; after an error none of its files stays.

        BatchError for more bad rows than are allowed, and for a source that has changed since the job began.
        """
        start, job = time.perf_counter(), self._job
        metadata = {"onnxserve.model": f"{job.model.name} {job.model.version}", "onnxserve.part": str(part.number)}
        writer = Writer(self._folder, part.number, job.shape.partition, metadata)
        rows = failed = 0
        try:
            with self._folder.create(quarantine_path(part.number)) as bad:
                for chunk in read(part, job.selection):
                    if self._joiner is not None:
                        chunk = self._joiner.join(chunk)  # noqa: PLW2901 - the same rows, complete
                    answers = self._scorer.score(chunk)
                    if job.redact:
                        chunk, answers = redact(chunk, answers, job.model.columns)  # noqa: PLW2901
                    source = part.kind if part.kind in ALBUMS else part.source
                    writer.write(answer_table(chunk, answers, source, job.model, job.shape, self._scorer.form))
                    rows, faults = rows + chunk.size, chunk.faults | answers.faults
                    failed += len(faults)
                    write_bad_rows(bad, chunk, faults)
                    if self._max_errors is not None and failed > self._max_errors:
                        raise BatchError(f"more than {self._max_errors} bad rows", where=part.source)
            if rows != part.rows:
                raise BatchError(
                    f"the source has {rows} rows, it had {part.rows} when the job began", where=part.source
                )
            files = writer.close()
        except BaseException:
            writer.abandon()
            raise
        seconds = time.perf_counter() - start
        result = PartResult(part.number, rows, failed, tuple(files), seconds, self._scorer.deviation)
        self._folder.write(record_path(part.number), msgspec.json.encode(result))
        return result

    def try_part(self, part: Part) -> PartResult:
        """Score one part; an error is in the result."""
        try:
            return self.do(part)
        except (OnnxserveError, OSError, pa.ArrowException) as error:
            return PartResult(part.number, 0, 0, (), 0.0, error=f"part {part.number} of {part.source}: {error}")


def redact(chunk: Chunk, answers: Answers, columns: Sequence[str]) -> tuple[Chunk, Answers]:
    """Remove the values of bad rows: the row itself, and the reason, which may quote it."""

    def without_values(faults: dict[int, Fault]) -> dict[int, Fault]:
        return {
            place: Fault(fault.type, REDACTED, fault.where if fault.where in columns else "")
            for place, fault in faults.items()
        }

    return chunk._replace(faults=without_values(chunk.faults), raw=lambda _: REDACTED), answers._replace(
        faults=without_values(answers.faults)
    )


def write_bad_rows(bad: Stream, chunk: Chunk, faults: dict[int, Fault]) -> None:
    """Write bad rows with their place in the source."""
    for place, fault in sorted(faults.items()):
        line = {
            "source": chunk.position(place),
            "row": chunk.first + place,
            "type": fault.type,
            "reason": fault.reason,
            "where": fault.where,
            "input": chunk.raw(place)[:FAULT_BYTES],
        }
        bad.write(msgspec.json.encode(line) + b"\n")


def record_path(number: int) -> str:
    """Return the path of a part's record."""
    return f"{STATE}/parts/{number:05}.json"


def quarantine_path(number: int) -> str:
    """Return the path of a part's bad rows."""
    return f"{STATE}/quarantine/{number:05}.jsonl"


class local_archive:  # noqa: N801 - a context, as `open` is
    """An archive as a local file."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._copy = url, folder / "fetched.mar"

    def __enter__(self) -> Path:
        if "://" not in self._url:
            return Path(self._url)
        with fsspec.open(self._url, "rb") as stream:
            self._copy.write_bytes(stream.read())
        return self._copy

    def __exit__(self, *_: object) -> None:
        self._copy.unlink(missing_ok=True)
