"""Triton Inference Server: the real `tritonserver` of the `nvidia-pytriton` wheel, with its Python backend.

Layout and fields: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/.
The configuration follows its optimisation guide: dynamic batching without delay, and one instance per core. A delay of
0.5 ms raises the throughput with 256 clients by a tenth and the latency of one client by 0.6 ms.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .prepare import FIELD, SERVERS, Bench, scratch, variables
from .process import Running, start
from .tritonserver import find_server
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


def triton(bench: Bench, port: int) -> Running:
    """Start Triton with HTTP only and two instances of one model."""
    server, folder = find_server(python_of("triton")), scratch("triton")
    _repository(bench, folder)
    command = server.command(folder / "models", folder / "backends")
    command += ["--http-address=127.0.0.1", f"--http-port={port}", "--allow-grpc=false", "--log-info=false"]
    return start(command, folder, variables(bench) | server.variables, folder / "log.txt")


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
