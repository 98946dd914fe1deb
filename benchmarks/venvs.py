"""A virtual environment for each rival, since their pins exclude each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .prepare import BENCH

COMMON = ["numpy", "onnxruntime", "tokenizers", "pillow"]
REQUIRED = {
    "fastapi": ["fastapi", "uvicorn[standard]", "torch==2.13.0", "cloudpickle"],
    "litserve": ["litserve"],
    "bentoml": ["bentoml"],
    "ray": ["ray[serve]"],
    "mlserver": ["mlserver", "uvloop<0.22"],  # MLServer asks for a loop that newer ones no longer make
}


def python_of(name: str) -> Path:
    """The environment's interpreter, made on first use; RuntimeError with pip's last words when it can't be."""
    folder = BENCH / "venvs" / name
    python = folder / "bin" / "python"
    if (folder / ".installed").is_file():
        return python
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *REQUIRED[name], *COMMON],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError("can't be installed: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    (folder / ".installed").touch()
    return python


def version_of(name: str, package: str) -> str:
    """The installed version of a rival."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(python_of(name)), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
