"""Release steps as pure functions: each takes the roles and returns the roles after the step."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from onnxserve.errors import ReleaseError
from onnxserve.gateway import Canary, Model, Roles, Share

from .brownout import LEVELS

Kind = TypeVar("Kind", bound=Share)
HEADER = re.compile(r"[A-Za-z0-9-]{1,128}")
replace = msgspec.structs.replace


def model_of(roles: Roles, name: str) -> Model:
    """Return the roles of one model; ReleaseError names the models that exist."""
    if name not in roles.models:
        known = ", ".join(sorted(roles.models)) or "none"
        raise ReleaseError(f"there is no model {name}", fix=f"registered: {known}")
    return roles.models[name]


def with_model(roles: Roles, name: str, model: Model) -> Roles:
    """Return the roles with the entry of one model replaced."""
    return Roles({**roles.models, name: model})


def without_model(roles: Roles, name: str) -> Roles:
    """Return the roles of all other models."""
    return Roles({other: model for other, model in roles.models.items() if other != name})


def register(roles: Roles, name: str, version: str, digest: str) -> Roles:
    """Add a version; the first version of a model becomes stable."""
    model = roles.models.get(name) or Model({}, version)
    return with_model(roles, name, replace(model, versions={**model.versions, version: digest}))


def set_canary(roles: Roles, name: str, share: Canary) -> Roles:
    """Make a version the canary, which answers a share of the requests."""
    model = check_other_version(roles, name, share.version, "a canary")
    return with_model(roles, name, replace(model, canary=check_share(share)))


def require_canary(step: Callable[[Roles], Roles], name: str, canary_id: str) -> Callable[[Roles], Roles]:
    """Return the step, refused with ReleaseError once the canary with this id has ended.

    The decision for the step was made a moment before, so the canary may have been ended by hand meanwhile.
    """

    def if_current(roles: Roles) -> Roles:
        now = model_of(roles, name).canary
        if now is None or now.id != canary_id:
            raise ReleaseError(f"the canary of {name} has ended meanwhile")
        return step(roles)

    return if_current


def require_changes(step: Callable[[Roles], Roles], accepted: Sequence[str]) -> Callable[[Roles], Roles]:
    """Return the step, refused with ReleaseError if it would change anything else than these lines of its plan."""

    def if_accepted(roles: Roles) -> Roles:
        after = step(roles)
        if describe_changes(roles, after) != [*accepted]:
            raise ReleaseError("the roles changed since the plan was shown", fix="look at the plan again")
        return after

    return if_accepted


def set_shadow(roles: Roles, name: str, share: Share | None) -> Roles:
    """Make a version the shadow, which gets copies of a share of the requests; None removes the shadow."""
    if share is None:
        return with_model(roles, name, replace(model_of(roles, name), shadow=None))
    model = check_other_version(roles, name, share.version, "its own shadow")
    return with_model(roles, name, replace(model, shadow=check_share(share)))


def set_smaller(roles: Roles, name: str, version: str) -> Roles:
    """Name the smaller version, which answers when the stable one is too busy; an empty name removes it."""
    if not version:
        return with_model(roles, name, replace(model_of(roles, name), smaller="", level=0))
    model = check_other_version(roles, name, version, "the smaller one")
    return with_model(roles, name, replace(model, smaller=version))


def scale(roles: Roles, name: str, version: str, workers: int) -> Roles:
    """Record how many workers a version should have."""
    model = model_of(roles, name)
    check_registered(model, name, version)
    return with_model(roles, name, replace(model, workers={**model.workers, version: workers}))


def set_level(roles: Roles, name: str, level: int) -> Roles:
    """Move a model to a level of the brown-out ladder."""
    return with_model(roles, name, replace(model_of(roles, name), level=level))


def promote(roles: Roles, name: str, version: str) -> Roles:
    """Make a version stable, by default the canary; the former stable version becomes the fallback.

    ReleaseError if the version isn't registered, or none is named and there is no canary.
    """
    model = model_of(roles, name)
    version = version or (model.canary.version if model.canary else "")
    if not version:
        raise ReleaseError(f"{name} has no canary", fix=f"name a version: onnxserve release promote {name} VERSION")
    check_registered(model, name, version)
    if version == model.stable:
        return with_model(roles, name, replace(model, canary=None))
    shadow = None if model.shadow and model.shadow.version == version else model.shadow
    smaller = "" if model.smaller == version else model.smaller
    changes = {"stable": version, "previous": model.stable, "canary": None, "shadow": shadow, "smaller": smaller}
    return with_model(roles, name, replace(model, **changes))


def roll_back(roles: Roles, name: str) -> Roles:
    """Remove the canary; without one, make the fallback stable again. ReleaseError if there is neither.

    The version that was stable then has no role, not even that of the fallback.
    """
    model = model_of(roles, name)
    if model.canary:
        return with_model(roles, name, replace(model, canary=None))
    if not model.fallback:
        raise ReleaseError(
            f"{name} has neither a canary nor an earlier stable version",
            fix=f"name one: onnxserve release promote {name} VERSION",
        )
    shadow = None if model.shadow and model.shadow.version == model.fallback else model.shadow
    return with_model(roles, name, replace(model, stable=model.fallback, previous="", shadow=shadow))


def retire(roles: Roles, name: str, version: str, *, last: bool = False) -> Roles:
    """Remove a version, and with `last` a model's only version and the model; ReleaseError if it still has a role."""
    model = model_of(roles, name)
    check_registered(model, name, version)
    if len(model.versions) == 1:
        if last:
            return without_model(roles, name)
        what = f"{name} {version} is the only version, so nobody could ask {name} any more"
        raise ReleaseError(what, fix=f"onnxserve release retire {name} {version} --last removes the model")
    for role, holder, command in (
        ("stable", model.stable, f"promote {name} ANOTHER_VERSION"),
        ("the canary", model.canary and model.canary.version, f"rollback {name}"),
        ("the smaller version", model.smaller, f"smaller {name} off"),
        ("the shadow", model.shadow and model.shadow.version, f"shadow {name} off"),
    ):
        if version == holder:
            raise ReleaseError(f"{name} {version} is {role}", fix=f"first: onnxserve release {command}")
    versions = {number: digest for number, digest in model.versions.items() if number != version}
    workers = {number: count for number, count in model.workers.items() if number != version}
    previous = "" if model.previous == version else model.previous
    return with_model(roles, name, replace(model, versions=versions, previous=previous, workers=workers))


def restore(roles: Roles, name: str, versions: dict[str, str], default: str = "") -> Roles:
    """Return the roles for the versions that exist, given oldest first; a missing version loses its role.

    No version is promoted: if the stable version is missing or was never chosen, the previous one becomes stable, else
    `default`, else the oldest version.
    """
    model = roles.models.get(name) or Model({}, default)
    choices = (model.stable, model.previous, default, *versions)
    stable = next(version for version in choices if version in versions)
    others = versions.keys() - {stable}
    kept = replace(
        model,
        versions=versions,
        stable=stable,
        previous=model.previous if model.previous in others else "",
        canary=model.canary if model.canary and model.canary.version in others else None,
        shadow=model.shadow if model.shadow and model.shadow.version in others else None,
        smaller=model.smaller if model.smaller in others else "",
        level=0,
        workers={version: count for version, count in model.workers.items() if version in versions},
    )
    return with_model(roles, name, kept)


def gaining_traffic(before: Roles, after: Roles, name: str) -> set[str]:
    """Return the versions whose role or percentage grows, so that they get more requests or copies than before.

    A version that only gets what another one loses is not among them.
    """
    model, old = after.models[name], before.models.get(name) or Model({}, "")
    versions = {model.stable} - {old.stable}
    for share, was in ((model.canary, old.canary), (model.shadow, old.shadow)):
        if share and not (was and was.version == share.version and was.percent >= share.percent):
            versions.add(share.version)
    return versions


def describe_changes(before: Roles, after: Roles) -> list[str]:
    """Describe what changes, one line for each model and role."""
    lines = []
    for name, model in sorted(after.models.items()):
        old = before.models.get(name) or Model({}, "")
        for role in ("stable", "canary", "shadow", "fallback", "smaller", "level"):
            was, will = (describe_role(getattr(state, role)) for state in (old, model))
            if was != will:
                lines.append(f"{name} {role}: {was} -> {will}")
    return lines


def role_of(roles: Roles, name: str, version: str) -> str:
    """Return a version's role with its percentage; empty if it has none."""
    model = roles.models.get(name)
    if not model:
        return ""
    if version == model.stable:
        return "stable"
    roles_of_version = [
        f"{role} {share.percent:g} %"
        for role, share in (("canary", model.canary), ("shadow", model.shadow))
        if share and share.version == version
    ]
    return ", ".join(roles_of_version) or ("fallback" if version == model.fallback else "")


def describe_role(role: Share | str | int | None) -> str:
    """Describe a version with its share, a level of the brown-out ladder, or none."""
    if isinstance(role, int):
        return f"{role} without {LEVELS[role]}"
    if not isinstance(role, Share):
        return role or "none"
    key = f" by {role.key}" if isinstance(role, Canary) and role.key else ""
    auto = ", automatic" if isinstance(role, Canary) and role.auto else ""
    return f"{role.version} at {role.percent:g} %{key}{auto}"


def check_registered(model: Model, name: str, version: str) -> None:
    """Raise ReleaseError unless a version is registered."""
    if version not in model.versions:
        raise ReleaseError(f"{name} has no version {version}", fix="registered: " + ", ".join(model.versions))


def check_other_version(roles: Roles, name: str, version: str, role: str) -> Model:
    """Return the model; ReleaseError unless the version is registered and isn't the stable one."""
    model = model_of(roles, name)
    check_registered(model, name, version)
    if version == model.stable:
        raise ReleaseError(f"{name} {version} is stable and can't be {role}", fix="choose another version")
    return model


def check_share(share: Kind) -> Kind:
    """Return the share; ReleaseError if its percentage, its step time or its header is out of range."""
    if not 0 < share.percent <= 100:
        raise ReleaseError(f"percent must be above 0 and at most 100, got {share.percent:g}", fix="--percent 5")
    if isinstance(share, Canary) and share.auto and not 0 <= share.auto.seconds < math.inf:
        what = f"a step's seconds must be finite and at least 0, got {share.auto.seconds:g}"
        raise ReleaseError(what, fix="--seconds 60")
    if isinstance(share, Canary) and share.key and not HEADER.fullmatch(share.key):
        what = f"{share.key!r} is not a header name by which the gateway can tell clients apart"
        raise ReleaseError(what, fix="use letters, digits and hyphens, as in x-user; the gateway drops headers with _")
    return share
