"""Triton Inference Server: the real `tritonserver` of the `nvidia-pytriton` wheel, with its Python backend.

Layout and fields: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/.
The configuration follows its optimisation guide: dynamic batching without delay, and one instance per core. A delay of
0.5 ms raises the throughput with 256 clients by a tenth and the latency of one client by 0.6 ms.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .prepare import FIELD, SERVERS, Bench, scratch, variables
from .process import Running, start
from .venvs import python_of

LARGEST = {"segment": 64, "sentiment": 1, "digits": 16}  # padding costs `sentiment` more than batching saves
CONFIG = """name: "bench"
backend: "python"
max_batch_size: {largest}
input [ {{ name: "{field}" data_type: {kind} dims: [ {size} ] }} ]
output [ {{ name: "label" data_type: TYPE_STRING dims: [ 1 ] }}, {{ name: "score" data_type: TYPE_FP32 dims: [ 1 ] }} ]
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
instance_group [ {{ count: 2 kind: KIND_CPU }} ]
"""
ASK = """import sys, sysconfig
print(sysconfig.get_path("purelib"), sysconfig.get_config_var("LIBDIR"), "%d.%d" % sys.version_info[:2], sep="\\n")"""


def triton(bench: Bench, port: int) -> Running:
    """Start Triton with HTTP only and two instances of one model."""
    python, folder = python_of("triton"), scratch("triton")
    completed = subprocess.run([str(python), "-c", ASK], capture_output=True, text=True, check=True)
    packages, libraries, version = completed.stdout.splitlines()
    if not list(Path(libraries).glob(f"libpython{version}.so*")):
        raise RuntimeError(f"its backend needs libpython{version}.so, and {libraries} has none")
    server = Path(packages) / "pytriton" / "tritonserver"
    _backend(server, folder, version)
    _repository(bench, folder)
    command = [str(server / "bin" / "tritonserver"), f"--model-repository={folder / 'models'}"]
    command += [f"--backend-directory={folder / 'backends'}", "--http-address=127.0.0.1", f"--http-port={port}"]
    command += ["--allow-grpc=false", "--allow-metrics=false", "--log-info=false"]
    environment = variables(bench) | {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",  # the stub imports packages of this python
        "LD_LIBRARY_PATH": f"{Path(packages) / 'nvidia_pytriton.libs'}{os.pathsep}{libraries}",
    }
    return start(command, folder, environment, folder / "log.txt")


def _backend(server: Path, folder: Path, version: str) -> None:
    """Copy the wheel's backend with the stub for this Python version."""
    place = folder / "backends" / "python"
    shutil.copytree(server / "backends" / "python", place)
    shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", place)


def _repository(bench: Bench, folder: Path) -> None:
    """Write `models/bench/config.pbtxt` and `models/bench/1/model.py`."""
    code = folder / "models" / "bench" / "1"
    code.mkdir(parents=True)
    shutil.copy(SERVERS / "triton_model.py", code / "model.py")
    shutil.copy(SERVERS / "task.py", code)
    row = bench.values[0]
    kind, size = ("TYPE_FP32", len(row)) if isinstance(row, list) else ("TYPE_STRING", 1)
    config = CONFIG.format(largest=LARGEST[bench.model], field=FIELD[bench.model], kind=kind, size=size)
    (code.parent / "config.pbtxt").write_text(config, encoding="utf-8")
