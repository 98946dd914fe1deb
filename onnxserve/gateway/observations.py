"""What nginx notes of each answer while a canary or a shadow runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from .log_reader import LogReader

NAME = "observations.log"
FAILED = 500


class Said(msgspec.Struct, frozen=True):
    """The part of a prediction that is compared; models without labels have none."""

    label: str | None = None
    score: float | None = None


class Observation(msgspec.Struct, frozen=True):
    """One answer of one version. `pair` is common to a request and its copy.

    `failed` has the tries before it that failed, as `version status,version status`.
    """

    pair: str
    request_id: str
    model: str
    version: str
    status: int
    seconds: float
    cache: str = ""
    said: str = ""  # what `predictions` are, in JSON
    rows: str = ""  # of a request's copy: its rows in JSON, as far as they may be kept
    failed: str = ""

    @property
    def predictions(self) -> list[Said]:
        """Label and score of each row; none where the answer had none. Of very many rows the first ones."""
        return [row for row in self._rows if isinstance(row, Said)]

    @property
    def _rows(self) -> list[Said | int]:
        try:
            return msgspec.json.decode(self.said or "[]", type=list[Said | int])
        except msgspec.DecodeError:
            return []

    def agrees(self, other: Observation) -> bool:
        """Whether another answer to the same request has the same labels, as far as both say them."""
        # A number says how many rows there are after the first ones.
        cut = any(isinstance(row, int) for row in (*self._rows, *other._rows))
        count = min(len(self.labels), len(other.labels)) if cut else None
        return self.labels[:count] == other.labels[:count]

    @property
    def labels(self) -> list[str]:
        """Roles, by row."""
        return [prediction.label for prediction in self.predictions if prediction.label is not None]

    @property
    def scores(self) -> list[float]:
        """Scores, by row."""
        return [prediction.score for prediction in self.predictions if prediction.score is not None]

    @property
    def computed(self) -> bool:
        """Whether a worker had a part in it."""
        return self.cache.lower() not in {"hit", "stale"}

    def tries(self) -> Iterator[Observation]:
        """An observation of each version that failed before another try answered.

        Whatever hides a failure from the client, another try or the version to fall back to, hides it from nobody who
        judges the version. One a version, and none where the answer itself is the version's failure.
        """
        seen = {self.version} if self.status >= FAILED else set[str]()
        for attempt in self.failed.split(","):
            version, _, status = attempt.rpartition(" ")
            if version and status.isdigit() and version not in seen:
                seen.add(version)
                # A pair of its own: a shadow is compared with the answer.
                pair = f"{self.pair} {version}"
                yield Observation(pair, self.request_id, self.model, version, int(status), self.seconds)


_decode = msgspec.json.Decoder(Observation).decode


class Tail:
    """Observations that come after the tail was made; the file may be renamed or cut meanwhile."""

    def __init__(self, path: Path) -> None:
        self._reader = LogReader(path)

    def read(self) -> list[Observation]:
        """What came since the last call; lines that can't be read are left out."""
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
