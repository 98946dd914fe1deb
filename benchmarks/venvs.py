"""A virtual environment for each rival, since their pinned dependencies conflict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .prepare import CACHE
from .tritonserver import REQUIREMENT

SHARED = ["numpy", "onnxruntime", "tokenizers", "pillow"]
REQUIRED = {
    "fastapi": ["fastapi", "uvicorn[standard]>=0.37", "prometheus-client"],
    "fastapi-torch": ["fastapi", "uvicorn[standard]>=0.37", "torch==2.13.0", "cloudpickle"],
    "fastapi-openvino": ["openvino", "fastapi", "uvicorn[standard]>=0.37"],
    "litserve": ["litserve"],
    "bentoml": ["bentoml"],
    "ray": ["ray[serve]"],
    "mlserver": ["mlserver", "uvloop<0.22"],  # MLServer needs an API that newer versions removed
    "mosec": ["mosec==0.9.8"],
    # optimum 1 imports neither beside transformers 4.49 nor beside torch 2.13.
    "infinity": [
        "infinity-emb[server,optimum]==0.0.78",
        "optimum[onnxruntime]==2.1.0",
        "transformers==4.57.6",
        "torch==2.13.0",
    ],
    "triton": [REQUIREMENT],  # contains tritonserver
}


def python_of(name: str) -> Path:
    """Return the environment's interpreter, installed on first use; raise RuntimeError with pip's last line."""
    folder = CACHE / "venvs" / name
    python, stamp = folder / "bin" / "python", folder / ".installed"
    requirements = [*REQUIRED[name], *SHARED]
    if stamp.is_file() and stamp.read_text(encoding="utf-8").split("\n") == requirements:
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    _run([str(python), "-m", "pip", "install", "-q", *requirements])
    stamp.write_text("\n".join(requirements), encoding="utf-8")
    return python


def version_of(name: str) -> str:
    """Return the installed version of the environment's first requirement, such as `mosec 0.9.8`."""
    package = REQUIRED[name][0].partition("=")[0].partition("[")[0]
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return f"{package} {_run([str(python_of(name)), '-c', code]).strip()}"


def _run(command: list[str]) -> str:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        raise RuntimeError("can't be installed: " + (completed.stderr.strip().splitlines() or ["?"])[-1])
    return completed.stdout
