"""Roles: which version of a model is stable, canary, shadow or fallback, and their form for nginx."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from .files import read_json

FILE, FORMER_FILE = "roles.json", "labels.json"  # the second name until 0.2
SCRIPTED = "*"  # a route that a script chooses for each request
DIGEST = 12


class Share(msgspec.Struct, frozen=True):
    """A version and the percentage of requests that it gets."""

    version: str
    percent: float


class Auto(msgspec.Struct, frozen=True):
    """Steps of an automatic canary, in percent.

    Each step lasts at least `seconds` and until `requests` answers of the canary were compared with as many of the
    stable version at the same time. `false_alarm` bounds the chance that a harmless version is ever rolled back.
    """

    steps: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0)
    requests: int = 200
    seconds: float = 60.0
    false_alarm: float = 0.01


class Canary(Share, frozen=True):
    """A version that answers a share of the requests.

    `key` names a header; requests with the same value of it always get the same version. `id` tells one canary from a
    later one of the same version, whose data must not mix.
    """

    key: str = ""
    auto: Auto | None = None
    id: str = ""


class Model(msgspec.Struct, frozen=True):
    """The registered versions of a model with the digests of their archives, and the roles.

    `workers` has the requested numbers of workers; the archives say it for the other versions.
    """

    versions: dict[str, str]
    stable: str
    previous: str = ""
    canary: Canary | None = None
    shadow: Share | None = None
    smaller: str = ""  # a cheaper version, for when the stable one is too busy
    level: int = 0  # of the brown-out ladder
    workers: dict[str, int] = {}

    @property
    def fallback(self) -> str:
        """The version that answers when the stable one can't; empty if there is none."""
        return self.previous if self.previous in self.versions and self.previous != self.stable else ""

    @property
    def needs_script(self) -> bool:
        """Whether a script must choose the version of a request that names none, or limits the answer."""
        return bool(self.canary or self.shadow or self.level)


class Roles(msgspec.Struct, frozen=True):
    """All models by name; each change increases the generation."""

    models: dict[str, Model] = {}
    generation: int = 0


def roles_path(state: Path) -> Path:
    """Return the path of the roles' file in a state folder; its former name while only that file is there."""
    path, former = state / FILE, state / FORMER_FILE
    return former if former.is_file() and not path.is_file() else path


def read_roles(path: Path) -> Roles | None:
    """Return the roles as last written; None when there is no file. GatewayError when the file is damaged."""
    return read_json(path, Roles, fix="remove the file: the versions under [default] serve, else the oldest")


def roles_document(roles: Roles) -> dict[str, Any]:
    """Return the document that nginx puts in force: a route for each model and version, and the roles for scripts.

    `digest` identifies the document. `generation` doesn't: a step that failed because the gateway answered too late
    has the same number as the next step.
    """
    routes: dict[str, str] = {}
    for name, model in roles.models.items():
        routes[f"{name}/"] = SCRIPTED if model.needs_script else model.stable
        for version, digest in model.versions.items():
            routes[f"{name}/{version}"] = version
            routes[f"{name}@{version}"] = digest[:DIGEST]
    models = {
        name: {**msgspec.to_builtins(model), "fallback": model.fallback, "scripted": model.needs_script}
        for name, model in roles.models.items()
    }
    document = {"generation": roles.generation, "routes": routes, "models": models}
    return {**document, "digest": hashlib.sha256(msgspec.json.encode(document)).hexdigest()}
