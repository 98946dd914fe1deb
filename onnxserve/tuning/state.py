"""Measurements on disk, so that a run that was stopped resumes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .point import Point, Sample
from .times import Timing


class Round(msgspec.Struct, frozen=True):
    """One search for the highest rate with one setting."""

    point: Point
    rate: float
    runs: list[Sample]


class Measurements(msgspec.Struct):
    """Everything measured for one archive, objective and machine."""

    times: list[Timing] = []
    rounds: list[Round] = []

    def rates(self, point: Point) -> list[float]:
        """Return the highest rate of each search with one setting."""
        return [search.rate for search in self.rounds if search.point == point]


class State:
    """A file of measurements; `key` names archive, objective and machine."""

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / f"{key}.json"

    def read(self) -> Measurements:
        """Return the measurements; none if the file can't be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Measurements)
        except (OSError, msgspec.DecodeError):
            return Measurements()

    def write(self, measured: Measurements) -> None:
        """Replace the file in one move."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".part")
        partial.write_bytes(msgspec.json.encode(measured))
        partial.replace(self._path)

    def forget(self) -> None:
        """Delete the measurements."""
        self._path.unlink(missing_ok=True)
