"""What is made once for all processes of a test run; tests that run in parallel share it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxserve.file_lock import lock_file


def create_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that `make` fills, in the run's own folder; the first process makes it, the others wait for it.

    A process that fails leaves no mark, so the next one tries again in the same folder.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    marker = folder / ".made"
    with lock_file(folder):
        if not marker.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            marker.touch()
    return folder
