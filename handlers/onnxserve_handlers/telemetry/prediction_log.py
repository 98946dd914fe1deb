"""The prediction log: sampled rows and their predictions as Parquet, bounded in memory and on disk.

`ONNXSERVE_PREDICTIONS` holds its settings as JSON. A thread of its own writes, so requests never wait. A request that
doesn't fit in the queue is dropped and counted.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import RequestError
from ..request import Request, error_of
from ..response import Response
from ..tasks import TaskHooks
from ..tasks.regression import compared_values
from .redaction import MOST_ROWS, TEXTS, RedactedRow, Redaction, rows_of, safe_request_id

log = logging.getLogger(__name__)
VARIABLE = "ONNXSERVE_PREDICTIONS"
REQUEST_ID = "x-request-id"
MOST_BODY = 65_536  # bytes of a response
NUMBER_BYTES = 24  # that one number of a row takes in memory, at least
FLUSH_S, FLUSH_ROWS = 10.0, 5_000


class Settings(msgspec.Struct, frozen=True):
    """The rows that are logged, where, and how many of them."""

    folder: str
    percent: float = 1.0  # of the requests
    megabytes: float = 256.0  # of one version's segments; the oldest are removed first
    hours: float = 168.0
    queue_megabytes: float = 16.0
    inputs: bool = True
    redact: tuple[str, ...] = ()  # columns, in any case; `text` for texts


class Item(NamedTuple):
    """One request on its way to disk."""

    time: float
    request_id: str
    values: list[Any] | None
    body: bytes | None
    error: str
    size: int


class PredictionLog:
    """Takes requests from the handler's thread and writes them from a thread of its own."""

    def __init__(self, settings: Settings, task: TaskHooks) -> None:
        signature = task.signature
        self._settings, self._task, self._redaction = settings, task, Redaction(signature, settings.redact)
        self._folder = Path(settings.folder) / signature.model / signature.version
        self._folder.mkdir(parents=True, exist_ok=True)
        self._queue: deque[Item] = deque()
        self._queue_bytes = 0
        self._lock = threading.Lock()
        self._random = random.Random()  # noqa: S311 - a sample, not a secret
        self._segments = 0
        self.dropped = 0
        self._due = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def add(
        self,
        requests: Sequence[Request],
        results: Sequence[Response | RequestError | None],
        headers: Sequence[Mapping[str, str]],
    ) -> None:
        """Queue a sample of a batch's requests without waiting."""
        now, share = time.time(), self._settings.percent / 100
        for request, result, head in zip(requests, results, headers, strict=True):
            if self._random.random() < share:
                self._enqueue(self._item(now, request, result, head.get(REQUEST_ID)))

    def _item(self, now: float, request: Request, result: Response | RequestError | None, request_id: Any) -> Item:
        error = error_of(request, result)
        response = request.response or (result if isinstance(result, Response) else None)
        full_body = (response.full_body or response.body) if response else b""
        body = full_body if len(full_body) <= MOST_BODY else None
        values = rows_of(request, result) if self._settings.inputs else None
        size = len(body or b"") + sum(map(size_of, values or ()))
        return Item(now, safe_request_id(request_id), values, body, error.kind if error else "", size)

    def _enqueue(self, item: Item) -> None:
        with self._lock:
            if self._queue_bytes + item.size > self._settings.queue_megabytes * 2**20:
                self.dropped += 1
                return
            self._queue.append(item)
            self._queue_bytes += item.size
            full = len(self._queue) >= FLUSH_ROWS
        if full:
            self._due.set()

    def _work(self) -> None:
        while not self._closed:
            self._due.wait(FLUSH_S)
            self._due.clear()
            self.flush()

    def flush(self) -> None:
        """Write the queue as one segment; if the disk is full, only this segment is dropped."""
        with self._lock:
            items, self._queue, self._queue_bytes = self._queue, deque(), 0
        if not items:
            return
        try:
            self._write(items)
            self._remove_old()
        except OSError as error:
            self.dropped += len(items)
            log.warning("predictions could not be written: %s", error)

    def close(self) -> None:
        """Write the rest of the queue and stop the thread."""
        if not self._closed:
            self._closed = True
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
        """Return one record per row of the request; a request without rows has one record without a row."""
        predictions = read_predictions(item.body)
        count = max(len(item.values or ()), min(len(predictions), MOST_ROWS), 1)
        records = []
        for index in range(count):
            prediction = predictions[index] if index < len(predictions) else {}
            value = item.values[index] if item.values and index < len(item.values) else None
            kept = value if isinstance(value, RedactedRow) else self._redaction.row(value)
            records.append(
                {
                    "time": round(item.time * 1e6),
                    "request_id": item.request_id,
                    "row": index,
                    "input": kept.row,
                    "redacted": kept.redacted,
                    "label": self._redaction.label(self._task.label(prediction)),
                    "score": self._task.score(prediction),
                    "values": compared_values(self._task, prediction),
                    "error": item.error or row_error(prediction),
                }
            )
        return records

    def _remove_old(self) -> None:
        """Remove the oldest segments beyond the limits of size and age."""
        segments = sorted(self._folder.glob("[0-9]*.parquet"), reverse=True)
        oldest, size = time.time() - self._settings.hours * 3600, 0.0
        for path in segments:
            try:
                stat = path.stat()
                size += stat.st_size
                if size > self._settings.megabytes * 2**20 or stat.st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:  # another worker of the version removed it
                continue


def size_of(value: Any) -> int:
    """Return about how many bytes a row takes in memory."""
    if isinstance(value, TEXTS):
        return len(value) + NUMBER_BYTES
    if isinstance(value, list | dict | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return NUMBER_BYTES * (len(value) + 1) + sum(len(part) for part in parts if isinstance(part, TEXTS))
    return int(getattr(value, "nbytes", NUMBER_BYTES))


def read_predictions(body: bytes | None) -> list[dict[str, Any]]:
    """Return the predictions of a response in the plain form; none of a response in another form."""
    try:
        predictions = msgspec.json.decode(body or b"").get("predictions", [])
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return []
    return [prediction if isinstance(prediction, dict) else {} for prediction in predictions]


def row_error(prediction: Mapping[str, Any]) -> str | None:
    """Return the kind of the error that takes the place of a row's prediction, None for a prediction."""
    error = prediction.get("error")
    return str(error["type"]) if isinstance(error, dict) and "type" in error else None


def schema(pa: Any) -> Any:
    """Return the schema of every segment; `pa` is pyarrow."""
    fields = [("time", pa.timestamp("us", "UTC")), ("request_id", pa.string()), ("row", pa.int32())]
    fields += [
        ("input", pa.string()),
        ("redacted", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("values", pa.list_(pa.float64())),
        ("error", pa.string()),
    ]
    return pa.schema(fields)


def read_settings() -> Settings:
    """Read the environment's settings; without any, nothing is logged and nothing is redacted."""
    text = os.environ.get(VARIABLE, "")
    return msgspec.json.decode(text, type=Settings) if text else Settings(folder="", percent=0.0)


def make_prediction_log(task: TaskHooks) -> PredictionLog | None:
    """Return the log that the environment enables; None for a share of 0 percent, and without pyarrow."""
    settings = read_settings()
    if not settings.percent:
        return None
    try:
        import pyarrow.parquet  # noqa: F401 - here rather than in the writing thread, which may run at the process's end
    except ModuleNotFoundError:
        log.warning("%s is set, but pyarrow is not installed: no prediction log", VARIABLE)
        return None
    leave_pandas_out()
    return PredictionLog(settings, task)


class NoPandas:
    """An importer that finds no pandas."""

    def find_spec(self, name: str, *_: object) -> None:
        """Raise ModuleNotFoundError for pandas; leave all other modules to the next importer."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=name)


def leave_pandas_out() -> None:
    """Let PyArrow find no pandas now, so that arrays never make it look again; conversions to pandas still do.

    PyArrow imports pandas with its first array if pandas is installed, which takes a second or two.
    """
    import pyarrow as pa

    importer = NoPandas()
    sys.meta_path.insert(0, importer)
    try:
        pa.array([0]).to_numpy()  # Python's half of PyArrow looks in the first call, the half in C++ in the second
    finally:
        sys.meta_path.remove(importer)
