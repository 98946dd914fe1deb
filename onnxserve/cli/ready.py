"""`onnxserve ready`: the health check of a container."""

from __future__ import annotations

from onnxserve.errors import ServerError

from .app import AsJson, app, out, show
from .server import Config, ManagementPort, State, release_of, settings_from


@app.command()
def ready(
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Exit 0 when each version that gets requests has a proven worker, else 1. Example: onnxserve ready.

    Versions without traffic don't count. TorchServe's own /ping is healthy while models still load.
    """
    release = release_of(settings_from(config=config, state=state, management_port=management_port))
    found = release.status()
    proven = {(one.model, one.version): one.workers for one in found if one.ready}
    # Without roles, as of a plain TorchServe, every version may be asked.
    wanted = release.served() or {(one.model, one.version) for one in found}
    waiting = sorted(" ".join(version) for version in wanted - proven.keys())
    if waiting or not wanted:
        raise ServerError("not ready: " + (", ".join(waiting) or "no model is registered"))
    workers = {" ".join(version): proven[version] for version in sorted(wanted)}
    show(workers, lambda: out.print(f"ready: {', '.join(workers)}", markup=False), as_json=as_json)
