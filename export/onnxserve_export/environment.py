"""The environment of a proof: it holds for these versions and these CPU instructions."""

from __future__ import annotations

import platform
from pathlib import Path

from onnxserve.archive.needs import PROVIDERS, version_of

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "asimdhp", "i8mm")
TOOLS = ("torch", "onnx", "onnxruntime", "onnxscript", "nncf", "numpy")


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Return which of the instruction sets that matter to int8 this CPU has; none where `path` can't be read."""
    try:
        words = set(path.read_text().split())
    except OSError:
        return []
    return [flag for flag in FLAGS if flag in words]


def versions(provider: str = "") -> dict[str, object]:
    """Return the versions of the tools that are installed, and the machine's instruction sets.

    Those of the packages that bring the provider are among them.
    """
    environment: dict[str, object] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu_flags": cpu_flags(),
    }
    tools = (*TOOLS, *PROVIDERS.get(provider, ()))
    return environment | {name: number for name in tools if (number := version_of(name))}
