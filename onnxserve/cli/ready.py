"""`onnxserve ready`: the health check of a container."""

from __future__ import annotations

from onnxserve.errors import ServerError

from .app import AsJson, app, out, show
from .server import Config, ManagementPort, release_of, settings_from


@app.command()
def ready(config: Config = None, management_port: ManagementPort = None, *, as_json: AsJson = False) -> None:
    """Exit 0 when every worker of every version is ready, else 1. Example: onnxserve ready.

    TorchServe's own /ping is healthy while models still load.
    """
    found = release_of(settings_from(config=config, management_port=management_port)).status()
    waiting = [f"{one.model} {one.version}" for one in found if not one.ready]
    if waiting or not found:
        raise ServerError("not ready: " + (", ".join(waiting) or "no model is registered"))
    versions = {f"{one.model} {one.version}": one.workers for one in found}
    show(versions, lambda: out.print(f"ready: {', '.join(versions)}"), as_json=as_json)
