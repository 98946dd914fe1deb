"""Release steps from the console: the plan that an operator sees, and the step once the plan was accepted.

Both go through `ReleaseService`, as `onnxserve release` does, so the same rules, locks and history hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onnxserve.gateway import Auto, Canary, Model, Roles
from onnxserve.release import HistoryNotWritten, ReleaseService
from onnxserve.release.transitions import model_of

from .operators import Refusal

Name = Annotated[str, Meta(max_length=128)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step; `percent` and `auto` are a canary's, and `version` may be empty but for a canary."""

    action: Literal["canary", "promote", "rollback"]
    model: Name
    version: Name = ""
    percent: Annotated[float, Meta(gt=0, le=100)] = 5.0
    auto: bool = False


class AcceptedStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step with the changes of the plan that the operator accepted."""

    step: Step
    changes: tuple[str, ...]


def plan(release: ReleaseService, step: Step) -> dict[str, Any]:
    """Return what the step would change, a line a role, and what happens if it fails; ReleaseError if it is refused."""
    changes = take(release, step, plan=True)
    return {"changes": changes, "on_failure": on_failure(step, release.role_store.roles)}


def apply(release: ReleaseService, accepted: AcceptedStep) -> dict[str, Any]:
    """Take the step and return its changes.

    ReleaseError if it is refused, as it is if it would change anything else than the operator accepted.
    `warning` says what the history lacks if the disk is full.
    """
    changes = take(release.accepting(accepted.changes), accepted.step, plan=False)
    try:
        release.history.check_written()
    except HistoryNotWritten as error:
        return {"changes": changes, "warning": error.what}
    return {"changes": changes, "warning": ""}


def take(release: ReleaseService, step: Step, *, plan: bool) -> Sequence[str]:
    """Take a step, or only plan it; return what changes. Refusal with 404 for a model that isn't served."""
    if step.model not in release.role_store.roles.models and step.model not in release.management.models():
        raise Refusal(404, "not_found", f"there is no model {step.model}")
    if step.action == "canary":
        auto = Auto() if step.auto else None
        share = Canary(step.version, auto.steps[0] if auto else step.percent, auto=auto)
        return release.canary(step.model, share, plan=plan)
    if step.action == "promote":
        return release.promote(step.model, step.version, plan=plan)
    return release.rollback(step.model, plan=plan)


def on_failure(step: Step, roles: Roles) -> list[str]:
    """Return what happens if the step or a version fails, a sentence each."""
    model = model_of(roles, step.model)
    if step.action == "canary":
        return [*_canary_fails(step, model.stable), "If the step is refused, nothing changes."]
    if step.action == "promote":
        version = step.version or (model.canary.version if model.canary else "")
        return _promoted_fails(version, model.stable)
    return _rollback_fails(model)


def _canary_fails(step: Step, stable: str) -> list[str]:
    lines = [f"If {step.version} fails to answer a request, {stable} answers it instead."]
    if step.auto:
        steps = ", ".join(f"{percent:g}" for percent in Auto().steps)
        lines.append(f"Its share rises by steps of {steps} % and ends with a promotion.")
        lines.append("It is taken back by itself once its answers do harm.")
        lines.append(f"The chance that a harmless version is taken back is at most {Auto().false_alarm:.0%}.")
    else:
        lines.append("It stays at this share until you promote it or roll back, which takes effect at once.")
    return lines


def _promoted_fails(version: str, stable: str) -> list[str]:
    refused = "The step is refused, and nothing changes, unless a worker of the version is ready."
    if version == stable:
        return [refused]
    kept = f"{stable} stays loaded: it answers what {version} fails to answer, and a rollback makes it stable again."
    return [kept, refused]


def _rollback_fails(model: Model) -> list[str]:
    if model.canary:
        return [f"All requests that name no version go to {model.stable} at once; that waits for nothing."]
    return [f"If no worker of {model.fallback} is ready, the step is refused and {model.stable} stays stable."]
