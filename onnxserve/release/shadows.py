"""Reports of shadows: answers of the stable version compared with the shadow's answers to copies of the requests."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import msgspec

from .observations import Observation, Prediction

WAITING = 10_000  # answers kept until the other version's answer comes
MOST_CASES = 1_000  # disagreements kept with their inputs
SCORE = 0.01  # scores that differ by more count as shifted, and a regression's values by more of their magnitude


class Case(msgspec.Struct, frozen=True):
    """One request to which the two versions gave different answers; `rows` is JSON, without what may not be kept."""

    request_id: str
    stable: list[str]
    shadow: list[str]
    status: tuple[int, int]
    rows: str = ""


class Report(msgspec.Struct):
    """What the compared pairs of one shadow show."""

    model: str
    stable: str
    shadow: str
    pairs: int = 0
    disagreements: int = 0
    shifted: int = 0
    failed: int = 0  # the stable version answered, the shadow didn't
    cases: list[Case] = []


class Pairs:
    """Pairs the observations of a request and its copy, and adds them to reports."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Observation] = OrderedDict()

    def see(self, report: Report, observation: Observation) -> bool:
        """Add one answer; return whether it completed a pair."""
        if observation.model != report.model or observation.version not in {report.stable, report.shadow}:
            return False
        other = self._waiting.pop(observation.pair, None)
        if other is None or other.version == observation.version:
            self._waiting[observation.pair] = observation
            while len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
            return False
        is_stable = observation.version == report.stable
        stable, shadow = (observation, other) if is_stable else (other, observation)
        compare(report, stable, shadow)
        return True


def compare(report: Report, stable: Observation, shadow: Observation) -> None:
    """Add one pair of answers to a report."""
    report.pairs += 1
    if stable.status == 200 and shadow.status != 200:
        report.failed += 1
    if any(map(is_shifted, stable.predictions, shadow.predictions)):
        report.shifted += 1
    if stable.status == shadow.status and stable.agrees(shadow):
        return
    report.disagreements += 1
    if len(report.cases) < MOST_CASES:
        statuses = (stable.status, shadow.status)
        report.cases.append(Case(stable.request_id, stable.labels, shadow.labels, statuses, shadow.rows))


def is_shifted(stable: Prediction, shadow: Prediction) -> bool:
    """Return whether two predictions for a row have scores, or a regression's values, that differ by much."""
    if stable.values and len(stable.values) == len(shadow.values):
        pairs = zip(stable.values, shadow.values, strict=True)
        return any(abs(a - b) > SCORE * max(abs(a), abs(b)) for a, b in pairs)
    return stable.score is not None and shadow.score is not None and abs(stable.score - shadow.score) > SCORE


def report_path(state: Path, model: str, shadow: str) -> Path:
    """Return the path of a shadow's report in a state folder."""
    return state / "shadows" / f"{model}-{shadow}.json"


def read_reports(state: Path, model: str) -> list[Report]:
    """Read the reports of a model's shadows, by version."""
    paths = sorted((state / "shadows").glob(f"{model}-*.json"))
    reports = [msgspec.json.decode(path.read_bytes(), type=Report) for path in paths]
    return [report for report in reports if report.model == model]
