"""The first request of each served version, a golden row of its archive, and the commands that send it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxserve.disk import replace_file
from onnxserve.errors import ServerError
from onnxserve.gateway import GatewayConfig
from onnxserve.supervisor.readiness import Version
from onnxserve.supervisor.store import stored_archives
from onnxserve.torchserve import Settings, resolve_settings

from .console import console, out
from .credentials import credentials
from .predict import ask, golden_body

WIDEST = 200  # characters of an answer that are shown, and of a body that stands in a command
FIRST_S = 10.0  # what then isn't answered is in its queue; the server goes on
JSON = {"Content-Type": "application/json"}
OF_JSON = "  # a file of JSON: -H 'Content-Type: application/json'"
FOLDER = "requests"  # of the run folder: bodies that are too long for a command


@dataclass(frozen=True)
class GoldenRequest:
    """A version, and a golden row of its archive as the body of a request."""

    model: str
    version: str
    body: bytes


def first_answers(settings: Settings, served_versions: set[Version]) -> list[GoldenRequest]:
    """Send one golden row to each served version of ours and print the answer, or why there is none.

    Clients are being served by now, so a version that can't answer must not end the server.
    """
    answered = []
    for archive in stored_archives(settings.store):
        if archive.ours and archive.version in served_versions and archive.version:
            (name, version), body = archive.version, golden_body(archive.path)
            try:
                answer = ask(settings.inference, name, body, JSON, version, timeout_s=FIRST_S)
            except ServerError as error:
                console.print(f"{name} {version}: no answer: {error.what}", style="red", markup=False)
            else:
                out.print(shortened(f"{name} {version}: {answer['predictions'][0]}"), markup=False)
                answered.append(GoldenRequest(name, version, body))
    return answered


def shortened(line: str) -> str:
    """Return the begin of a line: masks and vectors would fill the screen."""
    return line if len(line) <= WIDEST else f"{line[:WIDEST]}…"


def next_steps(
    settings: Settings, config: GatewayConfig | None, answered: Sequence[GoldenRequest], served_versions: set[Version]
) -> str:
    """Return commands to try, which work as they are; `config` is the gateway's, None without one.

    What a model of TorchServe reads is unknown: its request names a file of the reader's. It has the flag that sends
    the file's bytes; others would send a form, which TorchServe takes apart. A migrated handler gets JSON decoded if
    the request says that it is JSON; others get bytes.
    """
    if answered:
        example = min(answered, key=lambda each: len(each.body))
        lines = [request_command(settings, config, example, served_versions)]
    else:
        lines = [
            _curl(settings, config, "-T FILE", archive.version[0]) + (OF_JSON if archive.migrated else "")
            for archive in stored_archives(settings.store)
            if not archive.ours and archive.version and archive.version in served_versions
        ][:1]
    needed = [each.source for each in credentials(config)] if config is not None and lines else []
    lines.append(" ".join(["onnxserve release status", *_server_flags(settings)]))
    return "\n".join([*needed, "\n  ".join(["try:", *lines])])


def request_command(
    settings: Settings, config: GatewayConfig | None, request: GoldenRequest, served_versions: set[Version]
) -> str:
    """Return the command that sends a request again; it names the version where the model has several."""
    several = has_several(request.model, served_versions)
    path = f"{request.model}/{request.version}" if several else request.model
    data = shlex.quote(request_data(settings, request))
    return _curl(settings, config, f"-H 'Content-Type: application/json' -d {data}", path)


def has_several(model: str, versions: set[Version]) -> bool:
    """Return whether a model has more than one version, so that a request must name one."""
    return len({version for name, version in versions if name == model}) > 1


def request_data(settings: Settings, request: GoldenRequest) -> str:
    """Return a request's body as curl and `onnxserve predict` take it: its text, or @ and a file where it is long."""
    if len(data := request.body.decode()) <= WIDEST:
        return data
    file = settings.run / FOLDER / f"{request.model}-{request.version}.json"
    try:
        settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, request.body)
    except OSError:  # no server can start with this state folder, but one elsewhere takes the whole text
        return data
    return f"@{file}"


def _curl(settings: Settings, config: GatewayConfig | None, options: str, path: str) -> str:
    """Return the command for a path of `/predictions`, through the gateway if there is one."""
    words, url = ["curl"], settings.inference.url
    if config is not None:
        url = config.url
        words += ["--cacert", shlex.quote(config.tls.certificate)] if config.tls.certificate else []
        words += [needed.words for needed in credentials(config)]
    elif settings.inference.path is not None:
        words += ["--unix-socket", shlex.quote(str(settings.inference.path))]
    return " ".join([*words, options, f"{url}/predictions/{path}"])


def state_flag(settings: Settings) -> list[str]:
    """Return the flag by which a command finds a state folder; none where it does without."""
    state = settings.state.resolve()
    return [] if state == resolve_settings(os.environ, {}).state.resolve() else [f"--state {shlex.quote(str(state))}"]


def _server_flags(settings: Settings) -> Iterator[str]:
    """Yield the flags by which a command finds this server; none where it does without."""
    yield from state_flag(settings)
    default = resolve_settings(os.environ, {})
    if settings.plain and (not default.plain or settings.management_port != default.management_port):
        yield f"--management-port {settings.management_port}"
