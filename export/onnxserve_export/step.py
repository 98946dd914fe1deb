"""A step of the export: what it requires, does and ensures. A failure names its step and the steps before it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnxserve.errors import CheckFailed, OnnxserveError, StepFailed

from .export_state import ExportState

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One step; `requires` and `ensures` are fields of ExportState.

    The failure of a step that `collects` is told by the step `check`, with all others; steps that can't do without it
    are left out until then.
    """

    name: str
    requires: tuple[str, ...]
    ensures: tuple[str, ...]
    call: Callable[[ExportState], None]
    collects: bool = False


def run_steps(state: ExportState, steps: Sequence[Step]) -> None:
    """Run all steps in order; the first failure ends the export with an OnnxserveError."""
    finished: list[str] = []
    for number, step in enumerate(steps, 1):
        missing = [name for name in step.requires if not hasattr(state, name)]
        if missing and step.collects and state.faults:
            continue
        if missing:
            raise StepFailed(f"step {step.name} requires {missing}, which no earlier step made")
        state.say(f"[{number}/{len(steps)}] {step.name}")
        try:
            _run(state, step, finished)
        except OnnxserveError as error:
            if not step.collects:
                raise
            state.faults.add(error)
        else:
            finished.append(step.name)


def _run(state: ExportState, step: Step, finished: list[str]) -> None:
    """Run one step; every failure becomes an OnnxserveError that names it."""
    try:
        step.call(state)
    except (CheckFailed, StepFailed):  # they name their step, or tell the faults of several
        raise
    except OnnxserveError as error:
        raise _with_step(error, step, finished) from error
    except Exception as error:
        log.debug("step %s failed", step.name, exc_info=True)
        raise StepFailed(
            f"step {step.name} failed: {type(error).__name__}: {_first_line(error)}",
            where=_place(error),
            fix=f"steps that had run: {', '.join(finished) or 'none'}; --verbose shows the whole trace",
        ) from error
    unmade = [name for name in step.ensures if not hasattr(state, name)]
    if unmade and not (step.collects and state.faults):
        raise StepFailed(f"step {step.name} did not make {unmade}")


def _with_step(error: OnnxserveError, step: Step, finished: list[str]) -> OnnxserveError:
    after = f" (after {', '.join(finished)})" if finished else ""
    return StepFailed(f"step {step.name}{after}: {error.what}", where=error.where, fix=error.fix)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else "no message"


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"  # the frames are those of the import
    frames = traceback.extract_tb(error.__traceback__)
    # The user's own file explains more than our frames or a library's.
    own = [frame for frame in frames if frame.filename.endswith(("model.py", "handler.py"))]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"
