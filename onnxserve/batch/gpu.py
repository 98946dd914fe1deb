"""One GPU for each worker of this machine: Ray assigns them itself, Daft's native runner doesn't.

Never run on a GPU.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from onnxserve.errors import BatchError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_held: list[IO[str]] = []  # for as long as this process lives


def claim(gpus: int, environment: Mapping[str, str] = os.environ, folder: Path | None = None) -> int:
    """Reserve a free GPU; return its place among the visible ones. BatchError if all are taken."""
    devices = environment.get(VISIBLE, "")
    visible = (
        [name.strip() for name in devices.split(",") if name.strip()] if devices else [str(at) for at in range(gpus)]
    )
    if len(visible) == 1:
        return 0
    for place, name in enumerate(visible):
        path = (folder or Path(tempfile.gettempdir())) / f"onnxserve-gpu-{name}.lock"
        stream = path.open("w", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            continue
        _held.append(stream)
        return place
    raise BatchError(f"all of {len(visible)} GPUs are taken", where=VISIBLE, fix="fewer --workers, or more --gpus")
