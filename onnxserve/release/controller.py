"""The controller: once a second it reads what versions answered and moves the roles of automatic canaries."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from onnxserve.disk import replace_file
from onnxserve.errors import OnnxserveError
from onnxserve.gateway import Canary, Model
from onnxserve.gateway.role_store import RUN

from .brownout import Ladder
from .controller_lock import ControllerLock
from .observations import NAME, Observation, ObservationLog
from .paired_blocks import PairedBlocks
from .rollout import Decision, Rollout, start
from .service import ReleaseService
from .shadows import Pairs, Report, report_path

FOLDER = "canaries"
SUFFIX, FORMER_SUFFIX = ".rollout", ".course"  # of a rollout under way; the second one until 0.2
Kind = TypeVar("Kind")


class Controller:
    """Controls the canaries and shadows of one server; without a `ladder` a busy model gives nothing up."""

    def __init__(
        self,
        release: ReleaseService,
        state: Path,
        ladder: Ladder | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._release = release
        self._state = state
        self._clock = clock
        self._observations = ObservationLog(state / RUN / NAME)
        self._ladder = ladder
        self._pairs = Pairs()
        self._rollouts = {rollout.model: rollout for rollout in read_rollouts(state)}
        self._blocks: dict[str, PairedBlocks] = {}  # by model: answers that aren't compared yet
        self._lock = ControllerLock(state)
        self._lock.take()

    def close(self) -> None:
        """Let another process control the canaries."""
        self._lock.close()

    def tick(self) -> list[str]:
        """Read the new answers and act on them; return what was done, one sentence an action."""
        self._lock.take()
        self._release.history.flush()  # a full disk may have kept events from being written
        seen, models = self._observations.read(), self._release.role_store.roles.models
        lines = self._drop_ended(models)
        for name, model in models.items():
            answers = [answer for answer in seen if answer.model == name]
            if model.shadow:
                lines += self._compare(name, model, answers)
            if model.canary and model.canary.auto:
                lines += self._advance(name, model, model.canary, answers)
        try:
            return lines + self._move_levels()
        except OnnxserveError as error:
            return [*lines, f"brown-out ladder: {error.what}; retrying"]

    def _move_levels(self) -> list[str]:
        """Move models up or down the brown-out ladder."""
        lines: list[str] = []
        for name, level, why in self._ladder.changes(self._release.role_store.roles) if self._ladder else ():
            lines += self._release.level(name, level, why=[why])
        return lines

    def _compare(self, name: str, model: Model, answers: list[Observation]) -> list[str]:
        assert model.shadow  # noqa: S101 - the caller asked
        path = report_path(self._state, name, model.shadow.version)
        report = read_record(path, Report)
        if report is None or report.stable != model.stable:
            report = Report(name, model.stable, model.shadow.version)
        if sum(self._pairs.see(report, answer) for answer in answers) or not path.is_file():
            return write_record(path, report)
        return []

    def _advance(self, name: str, model: Model, canary: Canary, answers: list[Observation]) -> list[str]:
        assert canary.auto  # noqa: S101 - the caller asked
        path, now = rollout_path(self._state, name, canary.version), self._clock()
        if name not in self._rollouts:
            self._rollouts[name] = start(name, model.stable, canary, canary.auto, now)
        rollout, blocks = self._rollouts[name], self._blocks.setdefault(name, PairedBlocks())
        changed = rollout.look(blocks, answers, now)
        lines = self._act(rollout, rollout.decide(now), now)
        if changed or lines or not path.is_file():
            lines += write_record(path, rollout)
        if rollout.ended:
            lines += self._forget(rollout, rollout.ended)
        return lines

    def _act(self, rollout: Rollout, decision: Decision, now: float) -> list[str]:
        name, why = rollout.model, self._figures(rollout, decision)
        try:
            if decision.action == "rollback":
                changes = self._release.rollback(name, canary_id=rollout.id, why=why)
            elif decision.action == "promote":
                changes = self._release.promote(name, canary_id=rollout.id, why=why)
            elif decision.action == "step":
                share = Canary(rollout.canary, decision.percent, auto=rollout.auto, id=rollout.id)
                changes = self._release.canary(name, share, why=why)
                rollout.advance(now)
                self._blocks.pop(name, None)
                return changes + why
            elif decision.action == "hold":
                return [f"{name}: {rollout.canary} is held at {rollout.percent:g} %: {decision.reason}"]
            else:
                return []
        except OnnxserveError as error:
            return [f"{name}: {error.what}; retrying"]  # the server may be restarting
        rollout.ended = decision.action
        return changes + why

    def _figures(self, rollout: Rollout, decision: Decision) -> list[str]:
        stable, canary = rollout.seen
        seen = f"after {canary} answers of {rollout.canary}, {stable} of {rollout.stable}"
        return [*map(str, decision.harms), seen]

    def _drop_ended(self, roles: Mapping[str, Model]) -> list[str]:
        """Archive the rollouts of canaries that were ended by hand."""
        lines: list[str] = []
        for rollout in [*self._rollouts.values()]:
            model = roles.get(rollout.model)
            if not model or not model.canary or (model.canary.id, model.stable) != (rollout.id, rollout.stable):
                lines += self._forget(rollout, "ended by hand")
        return lines

    def _forget(self, rollout: Rollout, ended: str) -> list[str]:
        """Archive the record of a rollout; return a line about each file that was kept."""
        del self._rollouts[rollout.model]
        self._blocks.pop(rollout.model, None)
        path = rollout_path(self._state, rollout.model, rollout.canary)
        try:
            return [f"record: {kept}" for kept in archive_rollout(path, rollout, ended, self._clock())]
        except OSError as error:
            return [f"{rollout.model}: no record of {rollout.canary} is kept: {error.strerror}"]


def rollout_path(state: Path, model: str, version: str) -> Path:
    """Return the path of a canary's rollout while it is under way."""
    return state / FOLDER / f"{model}-{version}{SUFFIX}"


def write_record(path: Path, record: Rollout | Report) -> list[str]:
    """Replace a record; if it can't be written, as on a full disk, return a line with the reason and go on."""
    try:
        replace_file(path, msgspec.json.encode(record))
    except OSError as error:
        return [f"{path.name} can't be written: {error.strerror}; retrying"]
    return []


def archive_rollout(path: Path, rollout: Rollout, ended: str, now: float) -> list[Path]:
    """Keep the record of a rollout that ended, with a plot if matplotlib is installed; return their paths."""
    rollout.ended = ended
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%S")
    kept = path.with_name(f"{path.name.removesuffix(SUFFIX)}-{stamp}-{ended.replace(' ', '-')}.json")
    replace_file(kept, msgspec.json.encode(rollout))
    path.unlink(missing_ok=True)
    try:
        from .plot import draw
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        return [kept]
    return [kept, draw(rollout, kept.with_suffix(".svg"))]


def read_rollouts(state: Path) -> list[Rollout]:
    """Return the rollouts under way; a file with the former suffix gets the present one."""
    for former in sorted((state / FOLDER).glob(f"*{FORMER_SUFFIX}")):
        former.rename(former.with_suffix(SUFFIX))
    paths = sorted((state / FOLDER).glob(f"*{SUFFIX}"))
    return [rollout for path in paths if (rollout := read_record(path, Rollout))]


def read_record(path: Path, kind: type[Kind]) -> Kind | None:
    """Read a record; None if there is no file, or one of an incompatible version."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
