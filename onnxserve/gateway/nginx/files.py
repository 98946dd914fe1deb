"""nginx's files, from the templates and scripts beside."""

from __future__ import annotations

import os
import pwd
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

import jinja2
import msgspec

from onnxserve.client import Address
from onnxserve.errors import EdgeError
from onnxserve.gateway.config import GatewayConfig, Traces
from onnxserve.gateway.gateway import METRICS_PAGE, SHADOW, Gateway
from onnxserve.gateway.greeting import SERVER
from onnxserve.gateway.labels import Labels
from onnxserve.gateway.roles import roles_document
from onnxserve.places import INSIDE

HERE = files(__package__)
LEAST_KEPT_S = 600
UNREADABLE = '"$\\\n'  # ends a quoted word, begins a variable, or takes the meaning of what follows
DRAIN_S = 2.0  # how long a kept connection may still ask while its process ends
# Errors of the gateway itself. 528 and 529 stand for two kinds of 429, since nginx tells errors apart by status only.
ERRORS = (
    (400, "malformed_request", "this is not a well-formed request"),
    (
        401,
        "unauthenticated",
        "send a valid key as x-api-key or a token as Authorization: Bearer, and a certificate where one is asked for",
    ),
    (403, "forbidden", "this client may not ask this"),
    (404, "not_found", "there is no such model, version or path"),
    (405, "method_not_allowed", "use $allowed"),
    (411, "length_required", "say how long the body is"),
    (413, "too_large", "the body is larger than the gateway allows"),
    (414, "uri_too_long", "the path is longer than the gateway allows"),
    (431, "headers_too_large", "the headers are larger than the gateway allows"),
    (501, "not_implemented", "this transfer encoding or version of HTTP is not read"),
    (503, "unavailable", "no version can answer now"),
    (528, "rate_limited", "too many requests in too short a time"),
    (529, "overloaded", "too many requests are under way for this version"),
)


def gateway_files(gateway: Gateway, labels: Labels) -> dict[str, bytes]:
    """`nginx.conf`, the scripts it reads and the roles it begins with, by name, to lie in the run folder."""
    made = {"nginx.conf": configuration(gateway), "roles.json": msgspec.json.encode(roles_document(labels))}
    return made | scripts()


@cache
def scripts() -> dict[str, bytes]:
    """Read once, as the templates are: those of a newer release may lie there when nginx is started again."""
    return {path.name: path.read_bytes() for path in HERE.iterdir() if path.name.endswith(".js")}


@cache
def templates() -> jinja2.Environment:
    """Compiled at the first use, and then kept."""
    loader = jinja2.DictLoader({path.name: path.read_text() for path in (HERE / "templates").iterdir()})
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML


def configuration(gateway: Gateway, epoch: int = 0) -> bytes:
    """`nginx.conf`; with another `epoch` nginx counts the requests under way anew when it reads the file again."""
    return templates().get_template("nginx.conf.j2").render(variables(gateway), epoch=epoch).encode()


def variables(gateway: Gateway) -> dict[str, object]:
    """What the templates name: every table of the configuration, and what is made of them."""
    config = gateway.config
    check_paths(gateway)
    return {
        **msgspec.structs.asdict(config),
        "url": config.url,
        "guarded": config.guarded,
        "address": config.listen.address,
        "inference": nginx_address(gateway.inference),
        "management_api": nginx_address(gateway.management),
        "run": gateway.run,
        "state": gateway.run.parent,
        "console": INSIDE / "console",
        "metrics_page": gateway.run / METRICS_PAGE,
        "shadow_socket": gateway.run / SHADOW,
        "user": pwd.getpwuid(0).pw_name if os.geteuid() == 0 else "",
        "errors": ERRORS,
        "server": msgspec.json.encode(SERVER).decode(),
        "script_config": script_config(config),
        "script_errors": script_errors(),
        "keep_s": max(LEAST_KEPT_S, round(10 * config.cache.seconds)),
        "drain_s": DRAIN_S,
        "sampled": sampled(config.traces),
        "scrape_address": config.listen.scrape_address,
        "ms": milliseconds,
        "json_error": json_error,
        "v2_error": v2_error,
    }


def check_paths(gateway: Gateway) -> None:
    """EdgeError for a path that nginx would read as something else, quoted as it is."""
    tls, auth = gateway.config.tls, gateway.config.auth
    for path in (str(gateway.run), str(INSIDE), tls.certificate, tls.key, tls.client_ca, auth.keys, auth.jwt.jwks):
        if wrong := {character for character in path if character in UNREADABLE}:
            raise EdgeError(f"nginx can't read a path with {' '.join(sorted(wrong))}", where=path, fix="rename it")


def script_config(config: GatewayConfig) -> str:
    """What the scripts need to know, in JSON."""
    known = {
        **msgspec.structs.asdict(config.guard),
        "required": config.auth.required,
        "audiences": config.auth.jwt.audiences,
        "tries": config.retry.tries,
        "most_tries": round(config.limits.concurrency * config.retry.budget_percent / 100),
        "server": SERVER,
    }
    return msgspec.json.encode(known).decode()


def script_errors() -> str:
    """Status, kind and reason of each error of the gateway itself, in JSON."""
    return msgspec.json.encode({s: (429 if s > 511 else s, kind, reason) for s, kind, reason in ERRORS}).decode()


def sampled(traces: Traces) -> str:
    """The branches of a split that says 01, as `traceparent` has it, for a share of the requests."""
    percent = traces.percent if traces.endpoint else 0
    if 0 < percent < 100:
        return f"{max(percent, 0.01):.2f}% 01; * 00;"
    return f"* {'01' if percent else '00'};"


def nginx_address(address: Address) -> str:
    """`unix:/path` or `host:port`."""
    return str(address) if address.path else urlsplit(address.url).netloc


def milliseconds(seconds: float) -> str:
    """A time as nginx writes it."""
    return f"{round(seconds * 1000)}ms"


def json_error(kind: str, reason: str) -> str:
    """The body of an error, as the handlers write it."""
    return msgspec.json.encode({"error": {"type": kind, "reason": reason, "where": "gateway"}}).decode()


def v2_error(kind: str, reason: str) -> str:
    """The same on the paths of the Open Inference Protocol: one line of text."""
    return msgspec.json.encode({"error": f"{kind}: gateway: {reason}"}).decode()
