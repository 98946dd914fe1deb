"""Answers of the stable version beside those of its shadow, joined by what a request and its copy have in common."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import msgspec

from onnxserve.gateway.observations import Observation

WAITING = 10_000  # halves of pairs that are kept
MOST_CASES = 1_000  # disagreements kept with their inputs
SCORE = 0.01  # scores further apart than this count as shifted


class Case(msgspec.Struct, frozen=True):
    """One request on which the two disagree; `rows` in JSON, as far as they may be kept."""

    request_id: str
    stable: list[str]
    shadow: list[str]
    status: tuple[int, int]
    rows: str = ""


class Report(msgspec.Struct):
    """What the pairs of one shadow show."""

    model: str
    stable: str
    shadow: str
    pairs: int = 0
    disagreements: int = 0
    shifted: int = 0
    failed: int = 0  # the stable version answered, the shadow didn't
    cases: list[Case] = []


class Pairs:
    """Joins observations; one report for each (model, stable, shadow)."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Observation] = OrderedDict()

    def see(self, report: Report, one: Observation) -> bool:
        """Take one answer into account; whether it completed a pair."""
        if one.model != report.model or one.version not in {report.stable, report.shadow}:
            return False
        other = self._waiting.pop(one.pair, None)
        if other is None or other.version == one.version:
            self._waiting[one.pair] = one
            while len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
            return False
        stable, shadow = (one, other) if one.version == report.stable else (other, one)
        compare(report, stable, shadow)
        return True


def compare(report: Report, stable: Observation, shadow: Observation) -> None:
    """Add one pair to a report."""
    report.pairs += 1
    if stable.status == 200 and shadow.status != 200:
        report.failed += 1
    if any(abs(a - b) > SCORE for a, b in zip(stable.scores, shadow.scores, strict=False)):
        report.shifted += 1
    if stable.status == shadow.status and stable.agrees(shadow):
        return
    report.disagreements += 1
    if len(report.cases) < MOST_CASES:
        statuses = (stable.status, shadow.status)
        report.cases.append(Case(stable.request_id, stable.labels, shadow.labels, statuses, shadow.rows))


def report_path(state: Path, model: str, shadow: str) -> Path:
    """Where a shadow's report is kept."""
    return state / "shadows" / f"{model}-{shadow}.json"


def read_reports(state: Path, model: str) -> list[Report]:
    """What the shadows of a model have shown, by version."""
    paths = sorted((state / "shadows").glob(f"{model}-*.json"))
    found = [msgspec.json.decode(path.read_bytes(), type=Report) for path in paths]
    return [one for one in found if one.model == model]
