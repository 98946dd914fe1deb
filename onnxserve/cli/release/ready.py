"""`onnxserve release ready`: the health check of a container."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from onnxserve.cli.console import AsJson, show_lines
from onnxserve.cli.groups import release as commands
from onnxserve.cli.server import Config, ManagementPort, State
from onnxserve.errors import OnnxserveError, ServerError
from onnxserve.release import ReleaseService

from .changes import server

POLL_S = 0.5


@commands.command()
def ready(
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    wait: Annotated[float, typer.Option(min=0, help="Time to wait until the server is ready, seconds.")] = 0.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Exit with 0 if each version that gets requests has a proven worker, else with 1.

    Versions without traffic don't count. TorchServe's own /ping is healthy while models still load.

    Example: onnxserve release ready --wait 60
    """
    release, deadline = server(config, state, management_port), time.monotonic() + wait
    while True:
        try:
            workers = ready_workers(release)
        except OnnxserveError:  # a start mends damaged roles, and models come one by one
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            show_lines(workers, f"ready: {', '.join(workers)}", as_json=as_json)
            return


def ready_workers(release: ReleaseService) -> dict[str, int]:
    """Return the number of workers of each version that gets requests; ServerError unless each has one."""
    versions = release.status()
    proven = {(version.model, version.version): version.workers for version in versions if version.ready}
    # Without roles, as of a plain TorchServe, every version may be asked.
    needed = release.served_versions() or {(version.model, version.version) for version in versions}
    waiting = sorted(" ".join(version) for version in needed - proven.keys())
    if waiting or not needed:
        raise ServerError("not ready: " + (", ".join(waiting) or "no model is registered"))
    return {" ".join(version): proven[version] for version in sorted(needed)}
