"""Serve proven ONNX archives of trained models with TorchServe."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxserve.client.async_client import AsyncClient, AsyncModelClient
    from onnxserve.client.client import Client, ModelClient
    from onnxserve.client.errors import DeadlineExceeded, RequestFailed, RowError, Unreachable
    from onnxserve.client.retry import Retry

__version__ = "0.2.0"

# ONNX Runtime's own wheels send usage to their maker and keep an id of the machine below HOME, from their import on,
# unless this says otherwise. Whatever we start inherits it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Public names and their modules, which are imported at the first use: `import onnxserve` stays cheap.
_LAZY = {
    "AsyncClient": "onnxserve.client.async_client",
    "AsyncModelClient": "onnxserve.client.async_client",
    "Client": "onnxserve.client.client",
    "DeadlineExceeded": "onnxserve.client.errors",
    "ModelClient": "onnxserve.client.client",
    "RequestFailed": "onnxserve.client.errors",
    "Retry": "onnxserve.client.retry",
    "RowError": "onnxserve.client.errors",
    "Unreachable": "onnxserve.client.errors",
}
__all__ = [
    "AsyncClient",
    "AsyncModelClient",
    "Client",
    "DeadlineExceeded",
    "ModelClient",
    "RequestFailed",
    "Retry",
    "RowError",
    "Unreachable",
    "__version__",
]


if not TYPE_CHECKING:  # a type checker would take it that there is every name

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
