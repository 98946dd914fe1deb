"""`python -m onnxserve.batch.scoring_process DESCRIPTOR`: an archive's handler in a process that does nothing else.

It gets pickles over a socket, from the process that started it, and sends the messages of `scoring_messages`. The other
end is in `process_scorer`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from onnxserve.errors import OnnxserveError

from .chunk import Chunk
from .process_scorer import Rows, Settings
from .scorer import LocalScorer
from .scoring_messages import Failure, LoadedArchive, encode_answers


def serve(connection: Connection[Any, Any]) -> None:
    """Load the archive of the first message, then score chunks until the connection closes."""
    settings: Settings = connection.recv()
    try:
        scorer = LocalScorer(settings.folder, settings.config, settings.batch, settings.gpu_id)
    except Exception as error:  # noqa: BLE001 - the other end reports any error
        connection.send_bytes(failure(error))
        return
    connection.send_bytes(msgspec.msgpack.encode(LoadedArchive(scorer.form, scorer.deviation)))
    while True:
        rows: Rows = connection.recv()
        try:
            message = encode_answers(scorer.score(chunk_of(rows)), outputs=settings.outputs)
        except Exception as error:  # noqa: BLE001
            message = failure(error)
        connection.send_bytes(message)


def chunk_of(rows: Rows) -> Chunk:
    """Make a chunk of the rows, without the texts that only a person needs."""
    return Chunk(0, len(rows.places), rows.places, rows.columns, rows.values, None, {}, str, str)


def failure(error: Exception) -> bytes:
    """Make a message of an error."""
    if isinstance(error, OnnxserveError):
        return msgspec.msgpack.encode(Failure(error.what, error.where, error.fix))
    return msgspec.msgpack.encode(Failure(str(error) or type(error).__name__))


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as socket, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(socket)
