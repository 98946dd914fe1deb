"""Renders nginx's files from the templates and scripts in this folder."""

from __future__ import annotations

import os
import pwd
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

import jinja2
import msgspec

from onnxserve.client import Address
from onnxserve.errors import GatewayError
from onnxserve.gateway.config import GatewayConfig, Traces
from onnxserve.gateway.gateway import ADMIN, METRICS_PAGE, SHADOW, Gateway
from onnxserve.gateway.roles import Roles, roles_document
from onnxserve.paths import INSIDE
from onnxserve.version import __version__

HERE = files(__package__)
LEAST_KEPT_S = 600
UNREADABLE = '"$\\\n'  # characters that end a quoted word, start a variable, or escape the next one
# https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#server-metadata
SERVER = {"name": "onnxserve", "version": __version__, "extensions": ["binary_tensor_data"]}
SPARE, SPARE_OF_CLIENT = 2, 64  # divisors of `limits.concurrency`: requests beyond it, of all clients and of one
DRAIN_S = 2.0  # how long a kept connection may send requests while its process ends
# Errors of the gateway itself: number, status, kind and reason. nginx tells errors apart by number only; the number is
# the status, except for errors that share a status.
ERRORS = (
    (400, 400, "malformed_request", "this is not a well-formed request"),
    (401, 401, "unauthenticated", "send a valid key (x-api-key) or token (Authorization: Bearer), or a certificate"),
    (403, 403, "forbidden", "this client may not send this request"),
    (404, 404, "not_found", "there is no such model, version or path"),
    (405, 405, "method_not_allowed", "use $allow"),
    (411, 411, "length_required", "send the body with a Content-Length"),
    (413, 413, "too_large", "the body is larger than allowed"),
    (414, 414, "uri_too_long", "the path is longer than allowed"),
    (431, 431, "headers_too_large", "the headers are larger than allowed"),
    (500, 500, "internal_error", "the model server failed"),
    (501, 501, "not_implemented", "this transfer encoding or HTTP version is not supported"),
    (502, 503, "unavailable", "the model server does not answer"),
    (503, 503, "unavailable", "no version can answer now"),
    (504, 504, "deadline_exceeded", "no answer within the deadline"),
    (507, 507, "worker_ended", "the worker that had the request ended"),
    (528, 429, "rate_limited", "too many requests in too short a time"),
    (529, 429, "overloaded", "too many requests are under way for this version"),
    (530, 503, "overloaded", "more requests wait for this version than it can answer in time"),
    (531, 503, "quarantined", "requests of this client ended many workers of this version: leave out the rows that do"),
)


def gateway_files(gateway: Gateway, roles: Roles) -> dict[str, bytes]:
    """Return the files of the run folder by name: `nginx.conf`, the scripts, and the roles to start with."""
    rendered = {"nginx.conf": configuration(gateway), "roles.json": msgspec.json.encode(roles_document(roles))}
    return rendered | scripts()


@cache
def scripts() -> dict[str, bytes]:
    """Read the scripts once and keep them, since an upgrade may replace them before nginx is restarted."""
    return {path.name: path.read_bytes() for path in HERE.iterdir() if path.name.endswith(".js")}


@cache
def templates() -> jinja2.Environment:
    """Compile the templates once and keep them, for the same reason."""
    loader = jinja2.DictLoader({path.name: path.read_text() for path in (HERE / "templates").iterdir()})
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["json"] = lambda value: msgspec.json.encode(value).decode()
    return environment


def configuration(gateway: Gateway, epoch: int = 0) -> bytes:
    """Return `nginx.conf`; with another `epoch` nginx restarts its counts of requests under way at a reload."""
    return templates().get_template("nginx.conf.j2").render(variables(gateway), epoch=epoch).encode()


def variables(gateway: Gateway) -> dict[str, object]:
    """Return the variables of the templates: every table of the configuration, and values derived from them."""
    config = gateway.config
    check_paths(gateway)
    return {
        **msgspec.structs.asdict(config),
        "config": config,
        "inference": nginx_address(gateway.inference),
        "management_api": nginx_address(gateway.management),
        "run": gateway.run,
        "state": gateway.run.parent,
        "console": INSIDE / "console",
        "metrics_page": gateway.run / METRICS_PAGE,
        "admin": gateway.run / ADMIN,
        "shadow_socket": gateway.run / SHADOW,
        "user": pwd.getpwuid(0).pw_name if os.geteuid() == 0 else "",
        "errors": ERRORS,
        "server": SERVER,
        "script_config": script_config(config),
        "script_errors": {number: error for number, *error in ERRORS},
        "keep_s": max(LEAST_KEPT_S, round(10 * config.cache.seconds)),
        "drain_s": DRAIN_S,
        "sampled": sampling_branches(config.traces),
        "ms": lambda seconds: f"{round(seconds * 1000)}ms",
    }


def check_paths(gateway: Gateway) -> None:
    """Raise GatewayError for a path that nginx would misread even in quotes."""
    tls, auth = gateway.config.tls, gateway.config.auth
    for path in (str(gateway.run), str(INSIDE), tls.certificate, tls.key, tls.client_ca, auth.keys, auth.jwt.jwks):
        if wrong := {character for character in path if character in UNREADABLE}:
            shown = " ".join(map(ascii, sorted(wrong)))
            raise GatewayError(f"nginx can't read a path with {shown}", where=path, fix="rename the file or the folder")


def script_config(config: GatewayConfig) -> dict[str, object]:
    """Return the settings that the scripts need."""
    return {
        **msgspec.structs.asdict(config.guard),
        "required": config.auth.required,
        "audiences": config.auth.jwt.audiences,
        "tries": config.retry.tries,
        "answer_s": config.deadline.answer_s,
        "most_tries": round(config.limits.concurrency * config.retry.budget_percent / 100),
        "reserve_slots": config.limits.concurrency // SPARE,
        "client_reserve_slots": config.limits.concurrency // SPARE_OF_CLIENT,
        "server": SERVER,
    }


def sampling_branches(traces: Traces) -> str:
    """Return the branches of a split that gives a share of the requests the flag 01 of `traceparent`."""
    percent = traces.percent if traces.endpoint else 0
    if 0 < percent < 100:
        return f"{max(percent, 0.01):.2f}% 01; * 00;"
    return f"* {'01' if percent else '00'};"


def nginx_address(address: Address) -> str:
    """Return an address as nginx writes it: `unix:/path` or `host:port`."""
    return str(address) if address.path else urlsplit(address.url).netloc
