"""Which version of a model plays which part: kept in one file so that a restart changes nothing, and told to nginx."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from .files import read_json

FILE, FORMER_FILE = "roles.json", "labels.json"  # the second name until 0.2
SCRIPTED = "*"  # a route that a script decides for each request
DIGEST = 12


class Share(msgspec.Struct, frozen=True):
    """A version and the percentage of requests that it gets."""

    version: str
    percent: float


class Auto(msgspec.Struct, frozen=True):
    """Steps of an automatic canary, in percent.

    Each takes so many answers of the canary, compared with as many of the stable version at the same time, and so many
    seconds at least. `false_alarm` is the chance that a harmless version is ever taken back.
    """

    steps: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0)
    requests: int = 200
    seconds: float = 60.0
    false_alarm: float = 0.01


class Canary(Share, frozen=True):
    """A version that gets a share of the answers; `key` names the header whose value always goes the same way.

    `id` tells one canary from the next of the same version: what was seen of it belongs to it alone.
    """

    key: str = ""
    auto: Auto | None = None
    id: str = ""


class Model(msgspec.Struct, frozen=True):
    """Registered versions with the digests of their archives, the roles, and how many workers were wanted."""

    versions: dict[str, str]
    stable: str
    previous: str = ""
    canary: Canary | None = None
    shadow: Share | None = None
    smaller: str = ""  # a cheaper version, for when the stable one is too busy
    level: int = 0  # of the brown-out ladder
    workers: dict[str, int] = {}  # of versions that were scaled; of the others, their archives say it

    @property
    def fallback(self) -> str:
        """The version that answers when the stable one can't; empty where there is none."""
        return self.previous if self.previous in self.versions and self.previous != self.stable else ""

    @property
    def scripted(self) -> bool:
        """Whether a request that names no version may go to more than one, or gets less than all."""
        return bool(self.canary or self.shadow or self.level)


class Roles(msgspec.Struct, frozen=True):
    """All models by name; every change is another generation, which the gateway confirms."""

    models: dict[str, Model] = {}
    generation: int = 0


def roles_path(state: Path) -> Path:
    """The file in a state folder that records the roles; its former name while only that file is there."""
    path, former = state / FILE, state / FORMER_FILE
    return former if former.is_file() and not path.is_file() else path


def read_roles(path: Path) -> Roles | None:
    """The roles as they were last written; None when there is no file. GatewayError when the file is damaged."""
    return read_json(path, Roles, fix="remove the file: the versions under [default] serve, else the oldest")


def roles_document(roles: Roles) -> dict[str, Any]:
    """What nginx puts in force at once: a route for each path that a request may take, and the roles for its scripts.

    `digest` tells it from everything else that ever was. `generation` alone doesn't: a step that failed since the
    gateway answered too late had the number of the next one.
    """
    routes: dict[str, str] = {}
    for name, model in roles.models.items():
        routes[f"{name}/"] = SCRIPTED if model.scripted else model.stable
        for version, digest in model.versions.items():
            routes[f"{name}/{version}"] = version
            routes[f"{name}@{version}"] = digest[:DIGEST]
    models = {
        name: {**msgspec.to_builtins(model), "fallback": model.fallback, "scripted": model.scripted}
        for name, model in roles.models.items()
    }
    document = {"generation": roles.generation, "routes": routes, "models": models}
    return {**document, "digest": hashlib.sha256(msgspec.json.encode(document)).hexdigest()}
