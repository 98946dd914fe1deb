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
from .controller_lock import ControllerLock
from .paired_blocks import PairedBlocks
from .rollout import Decision, Rollout, start
from .service import ReleaseService
from .shadows import Pairs, Report, report_path

FOLDER = "canaries"
SUFFIX, FORMER_SUFFIX = ".rollout", ".course"  # of a rollout under way; the second one until 0.2
Kind = TypeVar("Kind")


class Controller:
    """One server's canaries and shadows; `ladder` says what a busy model gives up; without one none does."""

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
        self._tail = Tail(state / RUN / NAME)
        self._ladder = ladder
        self._pairs = Pairs()
        self._rollouts = {rollout.model: rollout for rollout in read_rollouts(state)}
        self._windows: dict[str, PairedBlocks] = {}  # of models: answers that aren't compared yet
        self._lock = ControllerLock(state)
        self._lock.take()

    def close(self) -> None:
        """Let another process judge."""
        self._lock.close()

    def tick(self) -> list[str]:
        """Read what came, decide; what was done, in words."""
        self._lock.take()
        self._release.history.flush()  # what a full disk kept from being written
        seen, models = self._tail.read(), self._release.role_store.roles.models
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
        for name, level, why in self._ladder.moves(self._release.role_store.roles) if self._ladder else ():
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
        path, now = rollout_path(self._state, name, canary.version), self._clock()
        if name not in self._rollouts:
            self._rollouts[name] = start(name, model.stable, canary, canary.auto, now)
        rollout, window = self._rollouts[name], self._windows.setdefault(name, PairedBlocks())
        changed = rollout.look(window, seen, now)
        said = self._act(rollout, rollout.decide(now), now)
        if changed or said or not path.is_file():
            said += written(path, rollout)
        if rollout.ended:
            said += self._forget(rollout, rollout.ended)
        return said

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
                self._windows.pop(name, None)
                return changes + why
            elif decision.action == "hold":
                return [f"{name}: {rollout.canary} is held at {rollout.percent:g} %: {decision.reason}"]
            else:
                return []
        except OnnxserveError as error:
            return [f"{name}: {error.what}; tried again"]  # the server may be restarting
        rollout.ended = decision.action
        return changes + why

    def _figures(self, rollout: Rollout, decision: Decision) -> list[str]:
        stable, canary = rollout.seen
        seen = f"after {canary} answers of {rollout.canary}, {stable} of {rollout.stable}"
        return [*map(str, decision.harms), seen]

    def _close(self, roles: Mapping[str, Model]) -> list[str]:
        """Put aside the rollouts of canaries that somebody ended."""
        said: list[str] = []
        for rollout in [*self._rollouts.values()]:
            model = roles.get(rollout.model)
            if not model or not model.canary or (model.canary.id, model.stable) != (rollout.id, rollout.stable):
                said += self._forget(rollout, "ended by hand")
        return said

    def _forget(self, rollout: Rollout, ended: str) -> list[str]:
        """Put the record of a rollout aside; what was kept, in words."""
        del self._rollouts[rollout.model]
        self._windows.pop(rollout.model, None)
        path = rollout_path(self._state, rollout.model, rollout.canary)
        try:
            return [f"record: {kept}" for kept in put_aside(path, rollout, ended, self._clock())]
        except OSError as error:
            return [f"{rollout.model}: no record of {rollout.canary} is kept: {error.strerror}"]


def rollout_path(state: Path, model: str, version: str) -> Path:
    """Where a canary's rollout is kept while it is under way."""
    return state / FOLDER / f"{model}-{version}{SUFFIX}"


def written(path: Path, record: Rollout | Report) -> list[str]:
    """Replace a record; why it can't be, in words: what a full disk doesn't take keeps nobody from judging."""
    try:
        replace_file(path, msgspec.json.encode(record))
    except OSError as error:
        return [f"{path.name} can't be written: {error.strerror}; tried again"]
    return []


def put_aside(path: Path, rollout: Rollout, ended: str, now: float) -> list[Path]:
    """Keep the record of a rollout that ended, with its plot where matplotlib is installed."""
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
    """Rollouts under way; a file with the former suffix gets the present one."""
    for former in sorted((state / FOLDER).glob(f"*{FORMER_SUFFIX}")):
        former.rename(former.with_suffix(SUFFIX))
    paths = sorted((state / FOLDER).glob(f"*{SUFFIX}"))
    return [rollout for path in paths if (rollout := read(path, Rollout))]


def read(path: Path, kind: type[Kind]) -> Kind | None:
    """What a file says; None when there is none, or it is from another release of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
