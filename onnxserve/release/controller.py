"""Looks at what versions answer, once a second, and moves the labels of automatic canaries."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from onnxserve.errors import OnnxserveError
from onnxserve.gateway import Canary, Model
from onnxserve.gateway.files import replace_file
from onnxserve.gateway.observations import NAME, Observation, Tail
from onnxserve.gateway.role_store import RUN

from .brownout import Ladder
from .controller_lock import Presence
from .paired_blocks import Window
from .rollout import Course, Decision, start
from .service import Release
from .shadows import Pairs, Report, report_path

COURSES = "canaries"
COURSE = ".course"  # of a course that is under way
Kind = TypeVar("Kind")


class Pilot:
    """One server's canaries and shadows; `ladder` says what a busy model gives up; without one none does."""

    def __init__(
        self,
        release: Release,
        state: Path,
        ladder: Ladder | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._release = release
        self._state = state
        self._clock = clock
        self._tail = Tail(state / RUN / NAME)
        self._ladder = ladder
        self._pairs = Pairs()
        self._courses = {course.model: course for course in read_courses(state)}
        self._windows: dict[str, Window] = {}  # of models: answers that aren't compared yet
        self._presence = Presence(state)
        self._presence.take()

    def close(self) -> None:
        """Let another process judge."""
        self._presence.close()

    def tick(self) -> list[str]:
        """Read what came, decide; what was done, in words."""
        self._presence.take()
        self._release.history.flush()  # what a full disk kept from being written
        seen, models = self._tail.read(), self._release.traffic.labels.models
        said = self._close(models)
        for name, model in models.items():
            mine = [one for one in seen if one.model == name]
            if model.shadow:
                said += self._compare(name, model, mine)
            if model.canary and model.canary.auto:
                said += self._judge(name, model, model.canary, mine)
        try:
            return said + self._brown_out()
        except OnnxserveError as error:
            return [*said, f"brown-out ladder: {error.what}; tried again"]

    def _brown_out(self) -> list[str]:
        """Give up what a busy model can do without, or give it back."""
        said: list[str] = []
        for name, level, why in self._ladder.moves(self._release.traffic.labels) if self._ladder else ():
            said += self._release.level(name, level, why=[why])
        return said

    def _compare(self, name: str, model: Model, seen: list[Observation]) -> list[str]:
        assert model.shadow  # noqa: S101 - the caller asked
        path = report_path(self._state, name, model.shadow.version)
        report = read(path, Report)
        if report is None or report.stable != model.stable:
            report = Report(name, model.stable, model.shadow.version)
        if sum(self._pairs.see(report, one) for one in seen) or not path.is_file():
            return written(path, report)
        return []

    def _judge(self, name: str, model: Model, canary: Canary, seen: list[Observation]) -> list[str]:
        assert canary.auto  # noqa: S101 - the caller asked
        path, now = course_path(self._state, name, canary.version), self._clock()
        if name not in self._courses:
            self._courses[name] = start(name, model.stable, canary, canary.auto, now)
        course, window = self._courses[name], self._windows.setdefault(name, Window())
        changed = course.look(window, seen, now)
        said = self._act(course, course.decide(now), now)
        if changed or said or not path.is_file():
            said += written(path, course)
        if course.ended:
            said += self._forget(course, course.ended)
        return said

    def _act(self, course: Course, decision: Decision, now: float) -> list[str]:
        name, why = course.model, self._figures(course, decision)
        try:
            if decision.action == "rollback":
                changes = self._release.rollback(name, canary_id=course.id, why=why)
            elif decision.action == "promote":
                changes = self._release.promote(name, canary_id=course.id, why=why)
            elif decision.action == "step":
                share = Canary(course.canary, decision.percent, auto=course.auto, id=course.id)
                changes = self._release.canary(name, share, why=why)
                course.advance(now)
                self._windows.pop(name, None)
                return changes + why
            elif decision.action == "hold":
                return [f"{name}: {course.canary} is held at {course.percent:g} %: {decision.reason}"]
            else:
                return []
        except OnnxserveError as error:
            return [f"{name}: {error.what}; tried again"]  # the server may be restarting
        course.ended = decision.action
        return changes + why

    def _figures(self, course: Course, decision: Decision) -> list[str]:
        stable, canary = course.seen
        seen = f"after {canary} answers of {course.canary}, {stable} of {course.stable}"
        return [*map(str, decision.harms), seen]

    def _close(self, roles: Mapping[str, Model]) -> list[str]:
        """Put aside the courses of canaries that somebody ended."""
        said: list[str] = []
        for course in [*self._courses.values()]:
            model = roles.get(course.model)
            if not model or not model.canary or (model.canary.id, model.stable) != (course.id, course.stable):
                said += self._forget(course, "ended by hand")
        return said

    def _forget(self, course: Course, ended: str) -> list[str]:
        """Put the record of a course aside; what was kept, in words."""
        del self._courses[course.model]
        self._windows.pop(course.model, None)
        path = course_path(self._state, course.model, course.canary)
        try:
            return [f"record: {kept}" for kept in put_aside(path, course, ended, self._clock())]
        except OSError as error:
            return [f"{course.model}: no record of {course.canary} is kept: {error.strerror}"]


def course_path(state: Path, model: str, version: str) -> Path:
    """Where a canary's course is kept while it is under way."""
    return state / COURSES / f"{model}-{version}{COURSE}"


def written(path: Path, record: Course | Report) -> list[str]:
    """Replace a record; why it can't be, in words: what a full disk doesn't take keeps nobody from judging."""
    try:
        replace_file(path, msgspec.json.encode(record))
    except OSError as error:
        return [f"{path.name} can't be written: {error.strerror}; tried again"]
    return []


def put_aside(path: Path, course: Course, ended: str, now: float) -> list[Path]:
    """Keep the record of a course that ended, with its plot where matplotlib is installed."""
    course.ended = ended
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%S")
    kept = path.with_name(f"{path.name.removesuffix(COURSE)}-{stamp}-{ended.replace(' ', '-')}.json")
    replace_file(kept, msgspec.json.encode(course))
    path.unlink(missing_ok=True)
    try:
        from .plot import draw
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        return [kept]
    return [kept, draw(course, kept.with_suffix(".svg"))]


def read_courses(state: Path) -> list[Course]:
    """Courses that are under way."""
    paths = sorted((state / COURSES).glob(f"*{COURSE}"))
    return [course for path in paths if (course := read(path, Course))]


def read(path: Path, kind: type[Kind]) -> Kind | None:
    """What a file says; None when there is none, or it is from another release of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
