"""Looks at what versions answer, once a second, and moves the labels of automatic canaries."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from onnxserve.errors import OnnxserveError
from onnxserve.gateway import Canary, Labels, Model, replace_file
from onnxserve.gateway.observations import NAME, Observation, Tail
from onnxserve.gateway.pressure import Pressure
from onnxserve.gateway.traffic import RUN

from .brownout import Rung
from .course import Course, Decision, start
from .shadows import Pairs, Report, report_path
from .steps import Release

Kind = TypeVar("Kind")
Pressures = Callable[[Labels], Mapping[str, Pressure]]


class Pilot:
    """One server's canaries and shadows; `pressures` says how busy models are, None leaves the ladder alone."""

    def __init__(
        self,
        release: Release,
        state: Path,
        pressures: Pressures | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._release = release
        self._state = state
        self._clock = clock
        self._tail = Tail(state / RUN / NAME)
        self._pressures = pressures
        self._pairs = Pairs()
        self._rungs: dict[str, Rung] = {}

    def tick(self) -> list[str]:
        """Read what came, decide; what was done, in words."""
        seen, said = self._tail.read(), []
        for name, model in self._release.traffic.labels.models.items():
            mine = [one for one in seen if one.model == name]
            if model.shadow:
                self._compare(name, model, mine)
            if model.canary and model.canary.auto:
                said += self._judge(name, model, model.canary, mine)
        try:
            return said + self._ladder()
        except OnnxserveError as error:
            return [*said, f"brown-out ladder: {error.what}; tried again"]

    def _ladder(self) -> list[str]:
        """Give up what a busy model can do without, or give it back."""
        if self._pressures is None:
            return []
        labels, said = self._release.traffic.labels, []
        for name, now in self._pressures(labels).items():
            level = labels.models[name].level
            wanted = self._rungs.setdefault(name, Rung()).next(level, now)
            if wanted != level:
                said += self._release.level(name, wanted, why=[f"{now.share:.0%} of the allowed requests under way"])
        return said

    def _compare(self, name: str, model: Model, seen: list[Observation]) -> None:
        assert model.shadow  # noqa: S101 - the caller asked
        path = report_path(self._state, name, model.shadow.version)
        report = read(path, Report)
        if report is None or report.stable != model.stable:
            report = Report(name, model.stable, model.shadow.version)
        if sum(self._pairs.see(report, one) for one in seen) or not path.is_file():
            replace_file(path, msgspec.json.encode(report))

    def _judge(self, name: str, model: Model, canary: Canary, seen: list[Observation]) -> list[str]:
        assert canary.auto  # noqa: S101 - the caller asked
        path, now = course_path(self._state, name, canary.version), self._clock()
        course = read(path, Course)
        if course is None or (course.stable, course.auto) != (model.stable, canary.auto):
            course = start(name, model.stable, canary, canary.auto, now)
        for one in seen:
            course.see(one)
        course.mark(now)
        said = self._act(course, course.decide(now), now)
        replace_file(path, msgspec.json.encode(course))
        if course.ended:
            said += [f"record: {kept}" for kept in keep(path, course, now)]
        return said

    def _act(self, course: Course, decision: Decision, now: float) -> list[str]:
        name, why = course.model, self._figures(course, decision)
        try:
            if decision.action == "rollback":
                changes = self._release.rollback(name, why=why)
            elif decision.action == "promote":
                changes = self._release.promote(name, why=why)
            elif decision.action == "step":
                share = Canary(course.canary, decision.percent, auto=course.auto)
                changes = self._release.canary(name, share, why=why)
                course.advance(now)
                return changes + why
            else:
                return []
        except OnnxserveError as error:
            return [f"{name}: {error.what}; tried again"]  # the server may be restarting
        course.ended = decision.action
        return changes + why

    def _figures(self, course: Course, decision: Decision) -> list[str]:
        canary, stable = course.trial.canary.seen, course.trial.stable.seen
        seen = f"after {canary} answers of {course.canary}, {stable} of {course.stable}"
        return [*map(str, decision.harms), seen]


def course_path(state: Path, model: str, version: str) -> Path:
    """Where a canary's course is kept; it stays as the record."""
    return state / "canaries" / f"{model}-{version}.json"


def keep(path: Path, course: Course, now: float) -> list[Path]:
    """Put the record of a course that ended aside, with its plot where matplotlib is installed."""
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%S")
    kept = path.with_name(f"{path.stem}-{stamp}-{course.ended}.json")
    path.rename(kept)
    try:
        from .plot import draw
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        return [kept]
    return [kept, draw(course, kept.with_suffix(".svg"))]


def read(path: Path, kind: type[Kind]) -> Kind | None:
    """What a file says; None when there is none, or it is from another release of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
