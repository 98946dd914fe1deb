"""What a release step makes of the roles; nothing here touches a server."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from onnxserve.errors import ReleaseError
from onnxserve.gateway import Canary, Model, Roles, Share

from .brownout import LEVELS

Kind = TypeVar("Kind", bound=Share)
HEADER = re.compile(r"[A-Za-z0-9-]{1,128}")
replace = msgspec.structs.replace


def model_of(roles: Roles, name: str) -> Model:
    """The roles of one model; ReleaseError names those that are there."""
    if name not in roles.models:
        known = ", ".join(sorted(roles.models)) or "none"
        raise ReleaseError(f"there is no model {name}", fix=f"registered: {known}")
    return roles.models[name]


def changed(roles: Roles, name: str, model: Model) -> Roles:
    """The same roles with another model under a name."""
    return Roles({**roles.models, name: model})


def registered(roles: Roles, name: str, version: str, digest: str) -> Roles:
    """A version beside the others; the first one of a model is stable."""
    model = roles.models.get(name) or Model({}, version)
    return changed(roles, name, replace(model, versions={**model.versions, version: digest}))


def canary(roles: Roles, name: str, share: Canary) -> Roles:
    """Let a version answer a share of the requests."""
    model = other(roles, name, share.version, "a canary")
    return changed(roles, name, replace(model, canary=bounded(share)))


def of_canary(step: Callable[[Roles], Roles], name: str, canary_id: str) -> Callable[[Roles], Roles]:
    """The same step, refused once the canary with this id has ended: whoever decided it looked a moment before."""

    def guarded(roles: Roles) -> Roles:
        now = model_of(roles, name).canary
        if now is None or now.id != canary_id:
            raise ReleaseError(f"the canary of {name} has been ended meanwhile")
        return step(roles)

    return guarded


def shadow(roles: Roles, name: str, share: Share | None) -> Roles:
    """Send a version copies of a share of the requests, or none any more."""
    if share is None:
        return changed(roles, name, replace(model_of(roles, name), shadow=None))
    model = other(roles, name, share.version, "its own shadow")
    return changed(roles, name, replace(model, shadow=bounded(share)))


def smaller(roles: Roles, name: str, version: str) -> Roles:
    """Name a cheaper version for when the stable one is too busy, or none."""
    if not version:
        return changed(roles, name, replace(model_of(roles, name), smaller="", level=0))
    model = other(roles, name, version, "the smaller one")
    return changed(roles, name, replace(model, smaller=version))


def scaled(roles: Roles, name: str, version: str, workers: int) -> Roles:
    """Remember how many workers a version has."""
    model = model_of(roles, name)
    known(model, name, version)
    return changed(roles, name, replace(model, workers={**model.workers, version: workers}))


def levelled(roles: Roles, name: str, level: int) -> Roles:
    """Move a model on the brown-out ladder."""
    return changed(roles, name, replace(model_of(roles, name), level=level))


def promoted(roles: Roles, name: str, version: str) -> Roles:
    """Make a version stable, the canary where none is named; the one before is what answers in its place."""
    model = model_of(roles, name)
    version = version or (model.canary.version if model.canary else "")
    if not version:
        raise ReleaseError(f"{name} has no canary", fix=f"name a version: onnxserve release promote {name} VERSION")
    known(model, name, version)
    if version == model.stable:
        return changed(roles, name, replace(model, canary=None))
    kept = None if model.shadow and model.shadow.version == version else model.shadow
    spare = "" if model.smaller == version else model.smaller
    parts = {"stable": version, "previous": model.stable, "canary": None, "shadow": kept, "smaller": spare}
    return changed(roles, name, replace(model, **parts))


def rolled_back(roles: Roles, name: str) -> Roles:
    """Take the canary away; without one, go back to the stable version before, and never fall back to this one."""
    model = model_of(roles, name)
    if model.canary:
        return changed(roles, name, replace(model, canary=None))
    if not model.fallback:
        raise ReleaseError(
            f"{name} has neither a canary nor an earlier stable version",
            fix=f"name one: onnxserve release promote {name} VERSION",
        )
    kept = None if model.shadow and model.shadow.version == model.fallback else model.shadow
    return changed(roles, name, replace(model, stable=model.fallback, previous="", shadow=kept))


def retired(roles: Roles, name: str, version: str) -> Roles:
    """Forget a version that has no part any more."""
    model = model_of(roles, name)
    known(model, name, version)
    for part, one, command in (
        ("stable", model.stable, f"promote {name} ANOTHER_VERSION"),
        ("the canary", model.canary and model.canary.version, f"rollback {name}"),
        ("the smaller version", model.smaller, f"smaller {name} off"),
        ("the shadow", model.shadow and model.shadow.version, f"shadow {name} off"),
    ):
        if version == one:
            raise ReleaseError(f"{name} {version} is {part}", fix=f"first: onnxserve release {command}")
    versions = {one: digest for one, digest in model.versions.items() if one != version}
    workers = {one: count for one, count in model.workers.items() if one != version}
    previous = "" if model.previous == version else model.previous
    return changed(roles, name, replace(model, versions=versions, previous=previous, workers=workers))


def restored(roles: Roles, name: str, versions: dict[str, str], default: str = "") -> Roles:
    """The roles for the versions that are there, oldest first: what is gone loses its part.

    Nothing is promoted: where the stable version is gone or was never chosen, the one before it serves, else `default`,
    else the oldest.
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
    return changed(roles, name, kept)


def beginning(before: Roles, after: Roles, name: str) -> set[str]:
    """Versions that would get more requests or copies than now; not those that get what others lose."""
    model, old = after.models[name], before.models.get(name) or Model({}, "")
    found = {model.stable} - {old.stable}
    for share, was in ((model.canary, old.canary), (model.shadow, old.shadow)):
        if share and not (was and was.version == share.version and was.percent >= share.percent):
            found.add(share.version)
    return found


def difference(before: Roles, after: Roles) -> list[str]:
    """What changes, one line a model and part, for people."""
    lines = []
    for name, model in sorted(after.models.items()):
        old = before.models.get(name) or Model({}, "")
        for part in ("stable", "canary", "shadow", "fallback", "smaller", "level"):
            was, will = (described(getattr(one, part)) for one in (old, model))
            if was != will:
                lines.append(f"{name} {part}: {was} -> {will}")
    return lines


def role_of(roles: Roles, name: str, version: str) -> str:
    """A version's part in the traffic; empty for none."""
    model = roles.models.get(name)
    if not model:
        return ""
    if version == model.stable:
        return "stable"
    parts = [
        f"{part} {one.percent:g} %"
        for part, one in (("canary", model.canary), ("shadow", model.shadow))
        if one and one.version == version
    ]
    return ", ".join(parts) or ("fallback" if version == model.fallback else "")


def described(part: Share | str | int | None) -> str:
    """A version with its share, a level, or none."""
    if isinstance(part, int):
        return f"{part} without {LEVELS[part]}"
    if not isinstance(part, Share):
        return part or "none"
    key = f" by {part.key}" if isinstance(part, Canary) and part.key else ""
    auto = ", automatic" if isinstance(part, Canary) and part.auto else ""
    return f"{part.version} at {part.percent:g} %{key}{auto}"


def known(model: Model, name: str, version: str) -> None:
    """ReleaseError unless a version is registered."""
    if version not in model.versions:
        raise ReleaseError(f"{name} has no version {version}", fix="registered: " + ", ".join(model.versions))


def other(roles: Roles, name: str, version: str, part: str) -> Model:
    """The model, after checking that the version is registered and not the stable one."""
    model = model_of(roles, name)
    known(model, name, version)
    if version == model.stable:
        raise ReleaseError(f"{name} {version} is stable and can't be {part}", fix="choose another version")
    return model


def bounded(share: Kind) -> Kind:
    """A share that is one; of a canary, with steps that end."""
    if not 0 < share.percent <= 100:
        raise ReleaseError(f"{share.percent:g} percent", fix="give more than 0 and at most 100")
    if isinstance(share, Canary) and share.auto and not 0 <= share.auto.seconds < math.inf:
        raise ReleaseError(f"a step takes at least {share.auto.seconds:g} seconds", fix="--seconds 60")
    if isinstance(share, Canary) and share.key and not HEADER.fullmatch(share.key):
        what = f"{share.key!r} is no header by which the gateway can tell clients apart"
        raise ReleaseError(what, fix="letters, digits and hyphens, as in x-user: headers with _ are dropped")
    return share
