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

_LAZY = {
    "Archive": "onnxserve.api.archive",
    "Evidence": "onnxserve.api.evidence",
    "Predictions": "onnxserve.api.predictions",
    "Report": "onnxserve.api.report",
    "Server": "onnxserve.api.server",
    "export": "onnxserve.api.exporting",
    "import_": "onnxserve.api.importing",
    "prove": "onnxserve.api.proving",
    "serve": "onnxserve.api.server",
}
__all__ = [
    "Archive",
    "Evidence",
    "Predictions",
    "Report",
    "Server",
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
