"""The last lines of an export: commands that serve the archive and ask it, which work as they are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from onnxserve.archive.read import read_version
from onnxserve.errors import GatewayError
from onnxserve.gateway import GatewayConfig
from onnxserve.supervisor.readiness import Version
from onnxserve.supervisor.store import stored_archives
from onnxserve.torchserve import Settings, stores_of

from .credentials import credentials
from .first_request import GoldenRequest, has_several, request_command, request_data, state_flag
from .gateway import config_of
from .predict import golden_body


def serving_lines(archive: Path, settings: Settings, features: Path | None = None) -> list[str]:
    """Return lines for a new archive; `features` is the Feast repository of its model, None without one."""
    config, version = gateway_config(settings), read_version(archive)
    request = GoldenRequest(*version, golden_body(archive))
    command = ask_command(settings, config, request, {version, *known_versions(archive, settings)})
    return [
        f"serve it: {serve_command(archive, settings, features)}",
        f"ask it:   {command}",
        *(f"          {needed.source}" for needed in credentials(config)),
    ]


def gateway_config(settings: Settings) -> GatewayConfig:
    """Return the content of gateway.toml; its defaults if it can't be read, which is of no concern to an export."""
    try:
        return config_of(settings)
    except GatewayError:
        return GatewayConfig()


def serve_command(archive: Path, settings: Settings, features: Path | None) -> str:
    """Return the command that serves an archive: by the server that runs, or by a new one."""
    stores, words = stores_of(settings), ["onnxserve", "serve"]
    if stores.server != stores.user and not (stores.server / archive.name).is_file():
        return " ".join(["onnxserve release register", shlex.quote(str(archive)), *state_flag(settings)])
    if archive.parent.resolve() != settings.store.resolve():
        words += ["--store", shlex.quote(str(archive.parent))]
    words += state_flag(settings)
    words += ["--features", shlex.quote(str(features))] if features else []
    has_earlier = stores.server != stores.user  # it serves a copy, which an export doesn't touch
    return " ".join(words) + ("  # once the server is stopped that has the earlier archive" if has_earlier else "")


def ask_command(settings: Settings, config: GatewayConfig, request: GoldenRequest, versions: set[Version]) -> str:
    """Return the command that sends a golden row: with TLS curl's, since it takes the gateway's own certificate."""
    if config.tls.certificate:
        return request_command(settings, config, request, versions)
    words = ["onnxserve predict", request.model, shlex.quote(request_data(settings, request))]
    return " ".join([*words, *(["--version", request.version] if has_several(request.model, versions) else [])])


def known_versions(archive: Path, settings: Settings) -> Iterator[Version]:
    """Yield the models and versions beside an archive, and those of the server that runs."""
    stores = stores_of(settings)
    folders = {archive.parent, *([stores.user, stores.server] if stores.server != stores.user else [])}
    for folder in folders:
        yield from (stored.version for stored in stored_archives(folder) if stored.version)
