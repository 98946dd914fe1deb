"""The prediction log: sampled rows and answers as Parquet, off the path of requests, bounded in memory and on disk.

`ONNXSERVE_PREDICTIONS` holds its settings as JSON. What doesn't fit in the queue is dropped and counted.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import RequestError
from ..request import Asked, error_of
from ..response import Answer
from ..signature import Signature
from .redaction import MOST_ROWS, TEXTS, Kept, Redaction, rows_of, safe_id

log = logging.getLogger(__name__)
VARIABLE = "ONNXSERVE_PREDICTIONS"
ID = "x-request-id"
BODY = 65_536  # bytes of an answer
NUMBER = 24  # bytes that one number of a row takes, at least
FLUSH_S, FLUSH_ROWS = 10.0, 5_000


class Settings(msgspec.Struct, frozen=True):
    """What is kept, where, and how much of it."""

    folder: str
    percent: float = 1.0
    megabytes: float = 256.0  # of one version's segments; the oldest go first
    hours: float = 168.0
    queue_megabytes: float = 16.0
    inputs: bool = True
    redact: tuple[str, ...] = ()  # columns, in whatever case; `text` for texts


class Item(NamedTuple):
    """One request on its way to disk."""

    time: float
    request_id: str
    values: list[Any] | None
    body: bytes | None
    error: str
    size: int


class Journal:
    """Takes requests from the handler's thread and writes them from one of its own."""

    def __init__(self, settings: Settings, signature: Signature) -> None:
        self._settings, self._redaction = settings, Redaction(signature, settings.redact)
        self._folder = Path(settings.folder) / signature.model / signature.version
        self._folder.mkdir(parents=True, exist_ok=True)
        self._queue: deque[Item] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._draws = random.Random()  # noqa: S311 - a sample, not a secret
        self._segments = 0
        self.dropped = 0
        self._due = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def see(
        self,
        asked: Sequence[Asked],
        results: Sequence[Answer | RequestError | None],
        headers: Sequence[Mapping[str, str]],
    ) -> None:
        """A share of the requests; never waits."""
        now, share = time.time(), self._settings.percent / 100
        for one, result, head in zip(asked, results, headers, strict=True):
            if self._draws.random() < share:
                self._add(self._item(now, one, result, head))

    def _item(self, now: float, one: Asked, result: Answer | RequestError | None, head: Mapping[str, str]) -> Item:
        error = error_of(one, result)
        answer = one.answer or (result if isinstance(result, Answer) else None)
        said = (answer.whole or answer.body) if answer else b""
        body = said if len(said) <= BODY else None
        values = rows_of(one, result) if self._settings.inputs else None
        size = len(body or b"") + sum(map(size_of, values or ()))
        return Item(now, safe_id(head.get(ID)), values, body, error.kind if error else "", size)

    def _add(self, item: Item) -> None:
        with self._lock:
            if self._bytes + item.size > self._settings.queue_megabytes * 2**20:
                self.dropped += 1
                return
            self._queue.append(item)
            self._bytes += item.size
            full = len(self._queue) >= FLUSH_ROWS
        if full:
            self._due.set()

    def _work(self) -> None:
        while not self._ended:
            self._due.wait(FLUSH_S)
            self._due.clear()
            self.flush()

    def flush(self) -> None:
        """Everything in the queue to a segment; a disk that is full costs the segment and nothing else."""
        with self._lock:
            items, self._queue, self._bytes = self._queue, deque(), 0
        if not items:
            return
        try:
            self._write(items)
            self._retain()
        except OSError as error:
            self.dropped += len(items)
            log.warning("predictions could not be written: %s", error)

    def close(self) -> None:
        """Write what is left."""
        if not self._ended:
            self._ended = True
            self._due.set()
            self.flush()

    def _write(self, items: Sequence[Item]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [row for item in items for row in self._rows(item)]
        self._segments += 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        path = self._folder / f"{stamp}-{os.getpid()}-{self._segments:06}.parquet"
        partial = path.with_name(f".{path.name}")
        pq.write_table(pa.Table.from_pylist(rows, schema=schema(pa)), partial)
        partial.replace(path)

    def _rows(self, item: Item) -> list[dict[str, Any]]:
        """One line a row of the request; one without a row for a request that had none."""
        predictions = predicted(item.body)
        count = max(len(item.values or ()), min(len(predictions), MOST_ROWS), 1)
        found = []
        for place in range(count):
            said = predictions[place] if place < len(predictions) else {}
            value = item.values[place] if item.values and place < len(item.values) else None
            kept = value if isinstance(value, Kept) else self._redaction.row(value)
            found.append(
                {
                    "time": round(item.time * 1e6),
                    "request_id": item.request_id,
                    "row": place,
                    "input": kept.row,
                    "redacted": kept.redacted,
                    "label": self._redaction.label(said.get("label")),
                    "score": number(said.get("score")),
                    "error": item.error or error_of_row(said),
                }
            )
        return found

    def _retain(self) -> None:
        """Remove the oldest segments beyond the bounds."""
        segments = sorted(self._folder.glob("[0-9]*.parquet"), reverse=True)
        oldest, size = time.time() - self._settings.hours * 3600, 0.0
        for path in segments:
            try:
                stat = path.stat()
                size += stat.st_size
                if size > self._settings.megabytes * 2**20 or stat.st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:  # another worker of the version was quicker
                continue


def size_of(value: Any) -> int:
    """About how many bytes a kept row takes."""
    if isinstance(value, TEXTS):
        return len(value) + NUMBER
    if isinstance(value, list | dict | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return NUMBER * (len(value) + 1) + sum(len(part) for part in parts if isinstance(part, TEXTS))
    return int(getattr(value, "nbytes", NUMBER))


def number(value: Any) -> float | None:
    """A score; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def predicted(body: bytes | None) -> list[dict[str, Any]]:
    """The rows of an answer in the plain form; nothing of any other."""
    try:
        found = msgspec.json.decode(body or b"").get("predictions", [])
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return []
    return [one if isinstance(one, dict) else {} for one in found]


def error_of_row(said: Mapping[str, Any]) -> str | None:
    """The kind of the error that stands where the prediction of a row would."""
    error = said.get("error")
    return str(error["type"]) if isinstance(error, dict) and "type" in error else None


def schema(pa: Any) -> Any:
    """Of every segment."""
    fields = [("time", pa.timestamp("us", "UTC")), ("request_id", pa.string()), ("row", pa.int32())]
    fields += [
        ("input", pa.string()),
        ("redacted", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("error", pa.string()),
    ]
    return pa.schema(fields)


def read_settings() -> Settings:
    """What the environment says; without it nothing is logged, and nothing is redacted."""
    text = os.environ.get(VARIABLE, "")
    return msgspec.json.decode(text, type=Settings) if text else Settings(folder="", percent=0.0)


def journal(signature: Signature) -> Journal | None:
    """What the environment asks for; None where it asks for no share of the requests, or pyarrow is missing."""
    settings = read_settings()
    if not settings.percent:
        return None
    try:
        import pyarrow as pa  # here rather than in the writing thread, and before the process ends
        import pyarrow.parquet
    except ModuleNotFoundError:
        log.warning("%s is set, but pyarrow is not installed: no prediction log", VARIABLE)
        return None
    pa.array([0])  # the first one imports more, which Python refuses to do while it ends
    return Journal(settings, signature)
