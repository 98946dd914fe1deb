"""The labels as nginx wants them: a route for each path that a request may take, and the roles for its scripts."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from .labels import Labels, Model

SCRIPTED = "*"  # a route that a script decides for each request
DIGEST = 12


def roles_document(labels: Labels) -> dict[str, Any]:
    """What the gateway puts in force at once; `digest` tells it from everything else that ever was.

    `generation` alone doesn't: a step that failed since the gateway answered too late had the number of the next one.
    """
    routes: dict[str, str] = {}
    for name, model in labels.models.items():
        routes[f"{name}/"] = SCRIPTED if scripted(model) else model.stable
        for version, digest in model.versions.items():
            routes[f"{name}/{version}"] = version
            routes[f"{name}@{version}"] = digest[:DIGEST]
    models = {name: roles(model) for name, model in labels.models.items()}
    document = {"generation": labels.generation, "routes": routes, "models": models}
    return {**document, "digest": hashlib.sha256(msgspec.json.encode(document)).hexdigest()}


def scripted(model: Model) -> bool:
    """Whether a request that names no version may go to more than one, or gets less than all."""
    return bool(model.canary or model.shadow or model.level)


def roles(model: Model) -> dict[str, Any]:
    """One model's roles; `fallback` answers when the stable version can't."""
    return {**msgspec.to_builtins(model), "fallback": model.fallback, "scripted": scripted(model)}
