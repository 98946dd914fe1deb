"""The packages of the extra `export`, which an installation that only serves may lack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxserve.errors import OnnxserveError

NEEDED = {"torch", "onnx", "onnxscript", "nncf", "jinja2", "safetensors", "fsspec", "pyarrow"}


@contextmanager
def extra_needed() -> Iterator[None]:
    """Name the extra if a package of the export isn't installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        raise OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[export]'") from error
