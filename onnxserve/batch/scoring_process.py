"""`python -m onnxserve.batch.scoring_process DESCRIPTOR`: an archive's handler in a process that does nothing else.

Both ends speak Python's pickles over a socket that nobody else can reach. The other end is in `process_scorer`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from onnxserve.errors import OnnxserveError

from .chunk import Chunk
from .process_scorer import Failure, LoadedArchive, Rows, Settings
from .scorer import Answers, LocalScorer

PLAIN = (dict, list, str, int, float, type(None))


def serve(connection: Connection[Any, Any]) -> None:
    """Load the archive of the first message, then score chunks until the connection closes."""
    settings: Settings = connection.recv()
    try:
        scorer = LocalScorer(settings.folder, settings.config, settings.batch, settings.gpu_id)
    except Exception as error:  # noqa: BLE001 - the other end reports any error
        connection.send(failure(error))
        return
    connection.send(LoadedArchive(scorer.form, scorer.deviation))
    while True:
        rows: Rows = connection.recv()
        try:
            connection.send(make_portable(scorer.score(chunk_of(rows)), outputs=settings.outputs))
        except Exception as error:  # noqa: BLE001
            connection.send(failure(error))


def chunk_of(rows: Rows) -> Chunk:
    """Make a chunk of the rows, without the texts that only a person needs."""
    return Chunk(0, len(rows.places), rows.places, rows.columns, rows.values, None, {}, str, str)


def make_portable(answers: Answers, *, outputs: bool) -> Answers:
    """Make answers that the other end can unpickle, since it has none of the archive's classes."""
    predictions = answers.predictions
    if predictions is not None:
        encode = msgspec.json.encode
        predictions = [
            prediction if isinstance(prediction, PLAIN) else msgspec.Raw(encode(prediction))
            for prediction in predictions
        ]
    return answers._replace(predictions=predictions, outputs=answers.outputs if outputs else None)


def failure(error: Exception) -> Failure:
    """Make a message of an error."""
    if isinstance(error, OnnxserveError):
        return Failure(error.what, error.where, error.fix)
    return Failure(str(error) or type(error).__name__)


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as socket, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(socket)
