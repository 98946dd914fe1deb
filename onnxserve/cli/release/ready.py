"""`onnxserve release ready`: the health check of a container."""

from __future__ import annotations

from onnxserve.cli.console import AsJson, show_lines
from onnxserve.cli.groups import release as commands
from onnxserve.cli.server import Config, ManagementPort, State
from onnxserve.errors import ServerError

from .changes import server


@commands.command()
def ready(
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Exit with 0 if each version that gets requests has a proven worker, else with 1.

    Versions without traffic don't count. TorchServe's own /ping is healthy while models still load.

    Example: onnxserve release ready
    """
    release = server(config, state, management_port)
    versions = release.status()
    proven = {(version.model, version.version): version.workers for version in versions if version.ready}
    # Without roles, as of a plain TorchServe, every version may be asked.
    needed = release.served_versions() or {(version.model, version.version) for version in versions}
    waiting = sorted(" ".join(version) for version in needed - proven.keys())
    if waiting or not needed:
        raise ServerError("not ready: " + (", ".join(waiting) or "no model is registered"))
    workers = {" ".join(version): proven[version] for version in sorted(needed)}
    show_lines(workers, f"ready: {', '.join(workers)}", as_json=as_json)
