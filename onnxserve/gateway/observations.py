"""What nginx notes of each answer while a canary or a shadow runs."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

NAME = "observations.log"
MOST_BYTES = 64 * 2**20


class Said(msgspec.Struct, frozen=True):
    """The part of a prediction that is compared; models without labels have none."""

    label: str | None = None
    score: float | None = None


class Observation(msgspec.Struct, frozen=True):
    """One answer of one version. `pair` is common to a request and its copy."""

    pair: str
    request_id: str
    model: str
    version: str
    status: int
    seconds: float
    cache: str = ""
    said: str = ""
    body: str = ""  # base64, only while there is a shadow

    @property
    def predictions(self) -> list[Said]:
        """Label and score of each row; none where the answer had none."""
        try:
            return msgspec.json.decode(self.said or "[]", type=list[Said])
        except msgspec.DecodeError:
            return []

    @property
    def labels(self) -> list[str]:
        """Labels, by row."""
        return [one.label for one in self.predictions if one.label is not None]

    @property
    def scores(self) -> list[float]:
        """Scores, by row."""
        return [one.score for one in self.predictions if one.score is not None]

    @property
    def computed(self) -> bool:
        """Whether a worker had a part in it."""
        return self.cache.lower() not in {"hit", "stale"}


_decode = msgspec.json.Decoder(Observation).decode


class Tail:
    """New lines of the file since the last look; it is emptied when it has grown large."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.is_file() else 0
        self._rest = b""

    def read(self) -> list[Observation]:
        """What came since; lines that can't be read are left out."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return []
        if size < self._at:
            self._at, self._rest = 0, b""
        with self._path.open("rb") as stream:
            stream.seek(self._at)
            fresh = stream.read()
        self._at += len(fresh)
        if self._at > MOST_BYTES:
            os.truncate(self._path, 0)  # nginx appends, so it goes on at the beginning
            self._at = 0
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        return [one for line in lines if (one := _read(line))]


def _read(line: bytes) -> Observation | None:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return None
