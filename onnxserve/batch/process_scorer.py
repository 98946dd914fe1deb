"""A scorer in a process of its own: halving finds a row that ends the process, which then counts as a bad row."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from onnxserve.archive.confined import check_confined, python_command
from onnxserve.errors import BatchError

from .chunk import Chunk, Fault
from .scorer import Answers
from .scoring_messages import Failure, LoadedArchive, decode_reply

MODULE = "onnxserve.batch.scoring_process"
CHECK = "check the archive: onnxserve archive verify ARCHIVE"
KIND = "worker_ended"
TRIES = 2  # of a row alone: a process may end for a reason of its own
MOST_ENDS = 200  # of one worker's processes; after that the handler is at fault, not a row
STOP_S = 5.0
Wanted = TypeVar("Wanted", LoadedArchive, Answers)


class Settings(NamedTuple):
    """The archive that the process loads, and whether its answers contain the graph's outputs."""

    folder: Path
    config: dict[str, Any]
    batch: int
    gpu_id: int | None
    outputs: bool


class Rows(NamedTuple):
    """Some of a chunk's readable rows, as columns or as values."""

    places: npt.NDArray[np.intp]
    columns: dict[str, npt.NDArray[Any]] | None
    values: Sequence[Any] | None

    def part(self, start: int, stop: int) -> Rows:
        """Return the rows from `start` to `stop`."""
        columns = None if self.columns is None else {name: array[start:stop] for name, array in self.columns.items()}
        return Rows(self.places[start:stop], columns, None if self.values is None else self.values[start:stop])


class ProcessEnded(Exception):
    """The process has ended; the text says how."""


class ScoringProcess:
    """A process that has loaded an archive."""

    def __init__(self, settings: Settings) -> None:
        self._connection, other_end = Pipe()
        # Bad words in ONNXSERVE_CONFINE end it before it loads anything, as they end a worker.
        command = python_command("-m", MODULE, str(other_end.fileno()))
        with other_end:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[other_end.fileno()]
            )
        try:
            self.started = self.ask(settings, LoadedArchive)
        except BaseException:
            self.close()
            raise

    def ask(self, message: Settings | Rows, wanted: type[Wanted]) -> Wanted:
        """Send a message and return the answer; ProcessEnded if the process ends, BatchError if it reports an error."""
        try:
            self._connection.send(message)
            answer = decode_reply(self._connection.recv_bytes())
        except (EOFError, ConnectionError) as error:
            raise ProcessEnded(ended_by(self._process.wait())) from error
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise BatchError(f"the archive's process sends what is no answer: {error}", fix=CHECK) from error
        if isinstance(answer, Failure):
            raise BatchError(answer.what, where=answer.where, fix=answer.fix)
        if not isinstance(answer, wanted):
            raise BatchError(f"the archive's process sends {type(answer).__name__} out of turn", fix=CHECK)
        return answer

    def close(self) -> None:
        """End it."""
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._process.kill()
        self._process.wait()


class ProcessScorer:
    """Scores with an unpacked archive whose handler may crash without stopping the job."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._ends = settings, 0
        try:
            self._process: ScoringProcess | None = ScoringProcess(settings)
        except ProcessEnded as error:
            check_confined()  # a word that it doesn't know is the likeliest reason of a worker's end
            raise BatchError(f"loading the archive ended its process: {error}", where=str(settings.folder)) from error
        started = self._process.started
        self.form, self.deviation = started.form, started.deviation

    def score(self, chunk: Chunk) -> Answers:
        """Score all rows together; if that ends the process, score each half alone."""
        return join_answers(self._score_rows(Rows(chunk.places, chunk.columns, chunk.values)))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _score_rows(self, rows: Rows, attempt: int = 1) -> list[Answers]:
        count = len(rows.places)
        try:
            return [self._ask(rows)]
        except ProcessEnded as error:
            self._count_end(error)
            if count == 1 and attempt == TRIES:
                fault = Fault(KIND, f"the process that scored this row ended: {error}")
                return [Answers(rows.places[:0], None, None, None, None, {int(rows.places[0]): fault})]
        if count <= 1:
            return self._score_rows(rows, attempt + 1)
        return self._score_rows(rows.part(0, count // 2)) + self._score_rows(rows.part(count // 2, count))

    def _ask(self, rows: Rows) -> Answers:
        if self._process is None:
            self._process = ScoringProcess(self._settings)
        return self._process.ask(rows, Answers)

    def _count_end(self, error: ProcessEnded) -> None:
        self.close()
        self._ends += 1
        if self._ends > MOST_ENDS:
            what = f"the archive's handler ended its process {self._ends} times, last: {error}"
            raise BatchError(what, where=str(self._settings.folder), fix=CHECK)


def join_answers(parts: Sequence[Answers]) -> Answers:
    """Join the answers of consecutive rows; parts without an answered row have no arrays."""
    if len(parts) == 1:
        return parts[0]
    answered = [part for part in parts if len(part.kept)]
    arrays = [
        np.concatenate([getattr(part, name) for part in answered])
        if answered and getattr(answered[0], name) is not None
        else None
        for name in ("label", "score", "outputs")
    ]
    label, score, outputs = arrays
    predictions = None
    if answered and answered[0].predictions is not None:
        predictions = [prediction for part in answered for prediction in part.predictions or ()]
    faults = {place: fault for part in parts for place, fault in part.faults.items()}
    return Answers(np.concatenate([part.kept for part in parts]), label, score, predictions, outputs, faults)


def ended_by(code: int) -> str:
    """Describe how a process ended, by its return code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
