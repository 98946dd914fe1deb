"""Observations: what nginx logs about each answer while a canary or a shadow runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from onnxserve.log_reader import LogReader

NAME = "observations.log"
FAILED = 500


class Prediction(msgspec.Struct, frozen=True):
    """The parts of a prediction that are compared; None for a model without labels, no `values` but of a regression."""

    label: str | None = None
    score: float | None = None
    values: tuple[float, ...] = ()


class Observation(msgspec.Struct, frozen=True, rename={"summary": "said"}):
    """One answer of one version.

    A request and its copy have the same `pair`. `summary` has the predictions as JSON, called `said` in the log; after
    the first rows of a large answer it gives only their number. `rows` has the rows of a copied request as JSON, as far
    as they may be kept. `failed` has the failed tries before this answer, as `version status,version status`.
    """

    pair: str
    request_id: str
    model: str
    version: str
    status: int
    seconds: float
    cache: str = ""
    summary: str = ""
    rows: str = ""
    failed: str = ""

    @property
    def predictions(self) -> list[Prediction]:
        """Label and score of each of the first rows; empty if the answer has none."""
        return [row for row in self._rows if isinstance(row, Prediction)]

    @property
    def _rows(self) -> list[Prediction | int]:
        try:
            return msgspec.json.decode(self.summary or "[]", type=list[Prediction | int])
        except msgspec.DecodeError:
            return []

    def agrees(self, other: Observation) -> bool:
        """Return whether another answer to the same request has the same labels, as far as both have them."""
        # A number stands for the rows after the first ones.
        cut = any(isinstance(row, int) for row in (*self._rows, *other._rows))
        count = min(len(self.labels), len(other.labels)) if cut else None
        return self.labels[:count] == other.labels[:count]

    @property
    def labels(self) -> list[str]:
        """The labels by row."""
        return [prediction.label for prediction in self.predictions if prediction.label is not None]

    @property
    def computed(self) -> bool:
        """Whether a worker computed the answer, rather than the cache."""
        return self.cache.lower() not in {"hit", "stale"}

    def tries(self) -> Iterator[Observation]:
        """Yield an observation of each version that failed before another try answered.

        A second try or a fallback hides a failure from the client, but the comparison of versions must see it. Each
        version gives one observation, and none if the answer itself is its failure.
        """
        seen = {self.version} if self.status >= FAILED else set[str]()
        for attempt in self.failed.split(","):
            version, _, status = attempt.rpartition(" ")
            if version and status.isdigit() and version not in seen:
                seen.add(version)
                # Another pair, since a shadow is compared with the answer only.
                pair = f"{self.pair} {version}"
                yield Observation(pair, self.request_id, self.model, version, int(status), self.seconds)


_decode = msgspec.json.Decoder(Observation).decode


class ObservationLog:
    """Reads the observations that come after this was made; the file may be renamed or truncated meanwhile."""

    def __init__(self, path: Path) -> None:
        self._reader = LogReader(path)

    def read(self) -> list[Observation]:
        """Return the observations since the last call; unreadable lines are skipped."""
        return [
            observation
            for lines in self._reader.read()
            for line in lines.split(b"\n")
            for answer in _read(line)
            for observation in (*answer.tries(), answer)
        ]


def _read(line: bytes) -> list[Observation]:
    try:
        return [_decode(line.decode(errors="replace"))]
    except msgspec.DecodeError:
        return []
