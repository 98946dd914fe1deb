"""Paths of the three protocols to the versions that answer, and what else the edge answers."""

from __future__ import annotations

from onnxserve.edge.greeting import SERVER
from onnxserve.edge.intent import Intent
from onnxserve.edge.labels import Labels, Model

from . import names
from .actions import plain, shared
from .auth import KEY, open_to_all
from .fixed import V2, fixed, problem
from .grpc import calls, server
from .typed import Resource, header

KIND = "envoy.config.route.v3.RouteConfiguration"
NAME = "edge"
START = "x-onnxserve-start"  # when the request came, for the time that it waited
POST = [{"name": ":method", "string_match": {"exact": "POST"}}]
GET = [{"name": ":method", "string_match": {"exact": "GET"}}]
LIVE = {"live": True}
UNKNOWN = "there is no such model, version or path"


def routes(intent: Intent, labels: Labels) -> Resource:
    """Every path that the edge knows; anything else is 404."""
    found: list[Resource] = []
    for name, model in sorted(labels.models.items()):
        found += model_routes(intent, name, model)
    if intent.listen.grpc and labels.models:
        found += server(intent, first(intent, labels))
    found += [
        fixed({"path": "/v2/health/live"}, 200, LIVE) | open_to_all(intent),
        fixed({"path": "/v2"}, 200, SERVER),
        *health(intent, labels),
        *document(intent, labels),
        *(fixed({"prefix": path}, 404, problem("not_found", UNKNOWN, path)) for path in (V2, "/")),
    ]
    host = {"name": NAME, "domains": ["*"], "routes": found}
    return {
        "name": NAME,
        "virtual_hosts": [host],
        "request_headers_to_remove": [KEY, "authorization"],
        "request_headers_to_add": [header(START, "%START_TIME(%s.%6f)%")],
    }


def model_routes(intent: Intent, name: str, model: Model) -> list[Resource]:
    """Paths of one model: those without a version, then those that name one."""
    split = shared(intent, name, model)
    found = paths(name, "", split, plain(intent, names.pool(name, model.stable)))
    for version in model.versions:
        only = plain(intent, names.pool(name, version))
        found += paths(name, version, only, only)
    if intent.listen.grpc:
        only = plain(intent, names.pool(name, model.stable))
        found += calls(name, "", protocol(name), split, only)
        for version in model.versions:
            only = plain(intent, names.pool(name, version))
            found += calls(name, version, protocol(name, version), only, only)
    return found


def protocol(name: str, version: str = "") -> str:
    """Where the Open Inference Protocol has a model, or one version."""
    return f"/v2/models/{name}" + (f"/versions/{version}" if version else "")


def paths(name: str, version: str, answer: Resource, look: Resource) -> list[Resource]:
    """Prediction by each protocol, readiness and metadata; another method is 405."""
    v2 = protocol(name, version)
    asked = [f"/predictions/{name}" + (f"/{version}" if version else ""), f"{v2}/infer"]
    if not version:
        asked.append(f"/v1/models/{name}:predict")
    seen = [f"{v2}/ready", v2]
    found = [{"match": {"path": path, "headers": POST}, **answer} for path in asked]
    found += [{"match": {"path": path, "headers": GET}, **look} for path in seen]
    for path, allowed in [*((path, "POST") for path in asked), *((path, "GET") for path in seen)]:
        found.append(refused_method(path, allowed))
    return found


def refused_method(path: str, allowed: str) -> Resource:
    """405 with the method that works."""
    made = fixed({"path": path}, 405, problem("method_not_allowed", f"use {allowed}", path))
    made["response_headers_to_add"].append(header("allow", allowed))
    return made


def document(intent: Intent, labels: Labels) -> list[Resource]:
    """OpenAPI of all models, which nginx makes of what they say of themselves."""
    if not labels.models:
        return []
    return [{"match": {"path": "/openapi.json", "headers": GET}, **first(intent, labels)}]


def health(intent: Intent, labels: Labels) -> list[Resource]:
    """Ready when every model's default version is, which nginx asks TorchServe."""
    if not labels.models:
        return [fixed({"path": "/v2/health/ready"}, 503, {"ready": False})]
    match = {"path": "/v2/health/ready", "headers": GET}
    return [{"match": match, **first(intent, labels), **open_to_all(intent)}]


def first(intent: Intent, labels: Labels) -> Resource:
    """To any version: what is asked is about all of them."""
    name, model = min(labels.models.items())
    return plain(intent, names.pool(name, model.stable))
