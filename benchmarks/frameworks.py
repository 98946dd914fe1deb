"""Python serving frameworks, each configured for two cores as its documentation recommends."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable, Mapping

from onnxserve.archive.write import pretty
from onnxserve.torchserve import free_ports

from .prepare import BENCH, FP32, OURS, SERVERS, Bench, scratch, variables
from .process import Running, start
from .venvs import python_of

Starter = Callable[[Bench, int], Running]
PAUSED_S = "86400"  # uvicorn replaces a worker that misses its health check; paused servers would miss it between runs


def uvicorn(name: str, application: str, port: int, environment: Mapping[str, str]) -> Running:
    """Start two uvicorn workers; `name` selects the environment and the log."""
    command = [str(python_of(name)), "-m", "uvicorn", application, "--workers", "2", "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log", "--timeout-worker-healthcheck", PAUSED_S]
    return start(command, SERVERS, environment, BENCH / "run" / f"{name}.log")


def fastapi(environment: str, backend: str = "onnx", graph: str = OURS) -> Starter:
    """Serve a bare endpoint over onnxruntime (`onnx`), OpenVINO or eager torch."""
    return lambda bench, port: uvicorn(environment, "fastapi_app:app", port, variables(bench, backend, graph))


def fastapi_full(bench: Bench, port: int) -> Running:
    """Serve the endpoint with keys, limits, log, counters and compression; both workers count in the same folder."""
    folder, secret = scratch("fastapi-full"), secrets.token_urlsafe(32)
    environment = variables(bench) | {
        "BENCH_KEY_DIGEST": hashlib.sha256(secret.encode()).hexdigest(),
        "BENCH_ACCESS_LOG": str(folder / "access.log"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }
    running = uvicorn("fastapi", "fastapi_full_app:app", port, environment)
    running.headers = {"x-api-key": secret}
    return running


def script(name: str, file: str, *arguments: str, graph: str = OURS) -> Starter:
    """Start a server script; `{port}` in its arguments is replaced."""

    def begin(bench: Bench, port: int) -> Running:
        filled = [argument.format(port=port) for argument in arguments]
        log = BENCH / "run" / f"{name}-{graph}.log"
        return start([str(python_of(name)), file, *filled], SERVERS, variables(bench, graph=graph), log)

    return begin


litserve = script("litserve", "litserve_app.py", "{port}")
ray = script("ray", "ray_app.py", "{port}")
# Requests get our timeout: mosec's default of 3 s is too short for 256 clients of a slow graph.
MOSEC = "mosec_app.py", "--address=127.0.0.1", "--port={port}", "--timeout=30000", "--log-level=error"
mosec = script("mosec", *MOSEC)
mosec_fp32 = script("mosec", *MOSEC, graph=FP32)


def bentoml(bench: Bench, port: int) -> Running:
    """Start `bentoml serve`."""
    command = [str(python_of("bentoml")), "-m", "bentoml", "serve", "bento_app:Bench", "--port", str(port)]
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(scratch("bentoml"))}
    return start(command, SERVERS, variables(bench) | quiet, BENCH / "run" / "bentoml.log")


def mlserver(bench: Bench, port: int) -> Running:
    """Run `mlserver start` with two parallel workers."""
    folder = scratch("mlserver")
    for name in ("task.py", "mlserver_app.py"):
        shutil.copy(SERVERS / name, folder)
    grpc, metrics = free_ports(2)
    ports = {"http_port": port, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_bytes(pretty({"host": "127.0.0.1", "parallel_workers": 2, **ports}))
    (folder / "model-settings.json").write_bytes(pretty({"name": "bench", "implementation": "mlserver_app.Bench"}))
    command = [str(python_of("mlserver")), "-c", "from mlserver.cli import main; main()", "start", "."]
    return start(command, folder, variables(bench), BENCH / "run" / "mlserver.log")
