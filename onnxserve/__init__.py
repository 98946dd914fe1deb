"""Serve proven ONNX archives of trained models with TorchServe.

The names of the Python API are imported when they are first used, so that `import onnxserve` stays cheap.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from onnxserve.api.archive import Archive
    from onnxserve.api.evidence import Evidence
    from onnxserve.api.exporting import export
    from onnxserve.api.importing import import_
    from onnxserve.api.predictions import Predictions
    from onnxserve.api.proving import prove
    from onnxserve.api.report import Report
    from onnxserve.api.server import Server, serve
    from onnxserve.client.async_client import AsyncClient, AsyncModelClient
    from onnxserve.client.client import Client, ModelClient
    from onnxserve.client.errors import DeadlineExceeded, RequestFailed, Unreachable
    from onnxserve.client.retry import Retry
    from onnxserve.errors import RowError

_LAZY = {
    "Archive": "onnxserve.api.archive",
    "AsyncClient": "onnxserve.client.async_client",
    "AsyncModelClient": "onnxserve.client.async_client",
    "Client": "onnxserve.client.client",
    "DeadlineExceeded": "onnxserve.client.errors",
    "Evidence": "onnxserve.api.evidence",
    "ModelClient": "onnxserve.client.client",
    "Predictions": "onnxserve.api.predictions",
    "Report": "onnxserve.api.report",
    "RequestFailed": "onnxserve.client.errors",
    "Retry": "onnxserve.client.retry",
    "RowError": "onnxserve.errors",
    "Server": "onnxserve.api.server",
    "Unreachable": "onnxserve.client.errors",
    "export": "onnxserve.api.exporting",
    "import_": "onnxserve.api.importing",
    "prove": "onnxserve.api.proving",
    "serve": "onnxserve.api.server",
}
__all__ = [
    "Archive",
    "AsyncClient",
    "AsyncModelClient",
    "Client",
    "DeadlineExceeded",
    "Evidence",
    "ModelClient",
    "Predictions",
    "Report",
    "RequestFailed",
    "Retry",
    "RowError",
    "Server",
    "Unreachable",
    "__version__",
    "export",
    "import_",
    "prove",
    "serve",
]

# ONNX Runtime's own wheels send usage to their maker and keep an id of the machine below HOME, from their import on,
# unless this says otherwise. Whatever we start inherits it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


if not TYPE_CHECKING:  # to a type checker every name would exist

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
