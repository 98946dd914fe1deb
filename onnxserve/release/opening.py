"""The release steps on the server that some settings name."""

from __future__ import annotations

from onnxserve.gateway import RoleStore, read_config
from onnxserve.torchserve import Management, Settings, stores_of

from .history import History
from .service import ReleaseService


def release_of(settings: Settings, by: str = "") -> ReleaseService:
    """Return the release steps on a server, by its sockets and its state folder; the history names `by`.

    Without `by` it names the user of this process.
    """
    defaults = read_config(settings.gateway_file).default
    role_store = RoleStore(settings.state)
    return ReleaseService(
        Management(settings.management), History(settings.state, by), stores_of(settings), role_store, defaults
    )
