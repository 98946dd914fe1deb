"""A scorer that asks a running server, with a bounded number of requests and retries after growing pauses."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from onnxserve.archive import folder_signature
from onnxserve.client import parse_address
from onnxserve.client.certificates import trust
from onnxserve.errors import BatchError

from .chunk import Chunk, Fault
from .job import Model, Remote
from .scorer import Answers, Form, form_of_task

KEY = "ONNXSERVE_KEY"
LATER = (429, 502, 503, 504)  # the server was busy or away: the rows aren't at fault
SPOILT = (500, 507)  # the server failed at these rows: after some tries, halving finds the row
SPOILT_TRIES = 3
TOO_LARGE = "answer_too_large"  # no retry helps: the rows are too many
FIRST_S, MOST_S = 0.2, 20.0
ROWS = 16  # of a request


class RemoteScorer:
    """A model behind HTTP or a unix socket."""

    deviation = 0.0

    def __init__(self, folder: Path, model: Model, remote: Remote, rows: int, key: str = "") -> None:
        signature = folder_signature(folder)
        self._rows = min(rows or ROWS, int(signature["input"].get("max_rows", ROWS)))
        self._model, self._remote = model, remote
        self.form: Form = form_of_task(folder)
        self._pool = ThreadPoolExecutor(remote.concurrency)
        self._draws = random.Random()  # noqa: S311 - pauses, not secrets
        self._address = parse_address(remote.url)
        self._http = httpx.Client(
            base_url=self._address.url,
            headers={"Content-Type": "application/json", **({"x-api-key": key} if key else {})},
            timeout=httpx.Timeout(60, pool=None),
            transport=self._address.transport(
                limits=httpx.Limits(max_connections=remote.concurrency),
                verify=trust(remote.ca),
            ),
            trust_env=False,
        )

    def score(self, chunk: Chunk) -> Answers:
        """Send requests of some rows each; if one is refused, send its halves."""
        values: Sequence[Any] = rows_of(chunk.columns) if chunk.columns is not None else chunk.values or []
        starts = range(0, len(values), self._rows)
        batches = self._pool.map(lambda start: self._ask(values[start : start + self._rows]), starts)
        answers = [answer for batch in batches for answer in batch]
        kept = [place for place, answer in zip(chunk.places, answers, strict=True) if not isinstance(answer, Fault)]
        faults = {
            int(place): answer for place, answer in zip(chunk.places, answers, strict=True) if isinstance(answer, Fault)
        }
        good = [answer for answer in answers if not isinstance(answer, Fault)]
        return Answers(np.array(kept, np.intp), None, None, good, None, faults)

    def close(self) -> None:
        """Close all connections."""
        self._pool.shutdown()
        self._http.close()

    def _ask(self, values: Sequence[Any]) -> list[Any]:
        """Return a prediction or a fault for each row."""
        answer = self._send(msgspec.json.encode({"instances": values}, enc_hook=encode_bytes))
        if answer.is_success:
            return self._check_answer(answer, len(values))
        if len(values) > 1:  # one bad row spoils its whole request
            half = len(values) // 2
            return self._ask(values[:half]) + self._ask(values[half:])
        return [fault_of(answer)]

    def _send(self, body: bytes) -> httpx.Response:
        """Return an answer that a retry would not change; BatchError after all tries.

        Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
        """
        last = ""
        for number in range(self._remote.tries):
            answer = None
            try:
                answer = self._http.post(f"/predictions/{self._model.name}/{self._model.version}", content=body)
            except httpx.HTTPError as error:
                last, after = f"no answer: {error or type(error).__name__}", 0.0
            else:
                if answer.status_code not in LATER + SPOILT:
                    return answer
                last_try = number + 1 >= min(SPOILT_TRIES, self._remote.tries)
                if answer.status_code in SPOILT and (last_try or error_of(answer)[0] == TOO_LARGE):
                    return answer
                last, after = f"{answer.status_code}: {answer.text[:200]}", retry_after_s(answer)
            pause = self._draws.uniform(0, min(MOST_S, FIRST_S * 2**number))
            if number + 1 < self._remote.tries:
                time.sleep(max(after, pause))
        fix = "run the same command again"
        raise BatchError(f"{last}, after {self._remote.tries} tries", where=self._path, fix=fix)

    @property
    def _path(self) -> str:
        return f"{self._address}/predictions/{self._model.name}/{self._model.version}"

    def _check_answer(self, answer: httpx.Response, count: int) -> list[Any]:
        document = answer.json()
        if document.get("model") != self._model.name or document.get("version") != self._model.version:
            answered = f"{document.get('model')} {document.get('version')}"
            raise BatchError(
                f"{answered} answered in place of {self._model.name} {self._model.version}", where=self._path
            )
        if len(document["predictions"]) != count:
            raise BatchError(f"{len(document['predictions'])} answers to {count} rows", where=self._path)
        return [prediction_or_fault(prediction) for prediction in document["predictions"]]


def prediction_or_fault(prediction: Any) -> Any:
    """Return the prediction, or the fault of a row that failed alone."""
    error = prediction.get("error") if isinstance(prediction, dict) and "label" not in prediction else None
    return (
        Fault(str(error["type"]), str(error["reason"])) if isinstance(error, dict) and "type" in error else prediction
    )


def rows_of(columns: dict[str, Any]) -> list[list[float | None]]:
    """Turn columns of numbers into rows; a missing number is null."""
    table = np.column_stack(list(columns.values())).astype(np.float64)
    return [[None if value != value else value for value in row] for row in table.tolist()]  # noqa: PLR0124 - NaN


def encode_bytes(value: Any) -> Any:
    """Encode bytes as base64 for JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} can't be sent")


def retry_after_s(answer: httpx.Response) -> float:
    """Return the seconds of `Retry-After`, at most MOST_S."""
    try:
        return min(MOST_S, float(answer.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0


def fault_of(answer: httpx.Response) -> Fault:
    """Return the fault of a row; BatchError for an error that every row would get."""
    kind, reason = error_of(answer)
    if answer.status_code in (401, 403, 404, 405):
        fix = f"set {KEY}" if answer.status_code == 401 else "check URL, model and version"
        raise BatchError(f"{answer.status_code}: {reason}", where=str(answer.url), fix=fix)
    return Fault(kind, reason)


def error_of(answer: httpx.Response) -> tuple[str, str]:
    """Return type and reason of an error."""
    try:
        error = answer.json()["error"]
        return str(error["type"]), str(error["reason"])
    except (ValueError, KeyError, TypeError):
        return "error", answer.text[:200]
