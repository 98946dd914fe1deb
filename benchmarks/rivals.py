"""Who runs against whom, and how each is started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnxserve.archive.write import pretty
from onnxserve.cli.serve import WARM_S, wait_until_ready
from onnxserve.config import Settings, find_java, free_ports, start_server, with_free_ports
from onnxserve.warmup import warm_up

from .prepare import BENCH, ROOT, Bench, bodies, oip_bodies
from .process import READY_S, Running, start
from .venvs import python_of

SERVERS = Path(__file__).with_name("servers")
LABEL = '"label"%s*:%s*"([^"]*)"'


@dataclass(frozen=True)
class Rival:
    """One server: `start(bench, port)` gives its processes, `path` where to post, `pattern` finds the label."""

    key: str
    title: str
    start: Callable[[Bench, int], Running]
    path: str = "/predict"
    pattern: str = LABEL
    bodies: Callable[[Bench], list[bytes]] = field(default=bodies)
    compiles: bool = False  # while it runs, as Java does: it gets a longer warm-up


def variables(bench: Bench, backend: str) -> dict[str, str]:
    """What `servers/task.py` reads; two processes share two cores."""
    return {
        "BENCH_FOLDER": str(bench.folder),
        "BENCH_TASK": bench.model,
        "BENCH_BACKEND": backend,
        "BENCH_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def scratch(name: str) -> Path:
    """An empty folder."""
    folder = BENCH / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def eager(bench: Bench, port: int) -> Running:
    """TorchServe as it comes: its default configuration, its worker, a handler from its documentation."""
    folder = scratch("eager")
    tool = str(Path(sys.executable).with_name("torch-model-archiver"))
    extra = [SERVERS / "task.py", bench.folder / "module.pkl", bench.folder / "signature.json"]
    if bench.model == "sentiment":
        extra.append(bench.folder / "tokenizer.json")
    command = [tool, "--model-name", bench.model, "--version", "1.0", "--handler", str(SERVERS / "eager_handler.py")]
    command += ["--extra-files", ",".join(map(str, extra)), "--export-path", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    management, metrics, grpc, grpc_management = free_ports(4)
    lines = [
        f"inference_address=http://127.0.0.1:{port}",
        f"management_address=http://127.0.0.1:{management}",
        f"metrics_address=http://127.0.0.1:{metrics}",
        f"grpc_inference_port={grpc}",
        f"grpc_management_port={grpc_management}",
        "disable_token_authorization=true",
    ]
    (folder / "config.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--ncs"]
    command += ["--ts-config", "config.properties", "--model-store", ".", "--models", f"{bench.model}.mar"]
    temp = {"TEMP": str(folder), "TMPDIR": str(folder), "JAVA_HOME": str(find_java().home)}
    return start(command, folder, temp, folder / "log.txt")


def ours(bench: Bench, port: int, *, stock: bool = False) -> Running:
    """The archive with our configuration; `stock` takes TorchServe's own worker and no plugin."""
    folder = scratch("stock" if stock else "ours")
    (folder / "store").mkdir()
    shutil.copy(bench.archive, folder / "store")
    text = (ROOT / "config.properties").read_text(encoding="utf-8")
    if stock:
        text = text.replace("-Dmodel_server_home=worker ", "").replace("plugins_path=", "#plugins_path=")
    for name in ("metrics_config=", "plugins_path=", "configurationFile=file:", "model_server_home="):
        text = text.replace(name, f"{name}{ROOT}/")
    (folder / "config.properties").write_text(text, encoding="utf-8")
    settings = with_free_ports(Settings(folder / "config.properties", folder / "store", folder / "state"))
    settings = replace(settings, inference_port=port)
    server = start_server(settings)
    if not stock:  # as `onnxserve serve` does before it says ready
        wait_until_ready(server, settings, READY_S)
        warm_up(settings, WARM_S)
    return Running(server.process, server.log)


def stock(bench: Bench, port: int) -> Running:
    """The same archive on TorchServe's own worker, tuned."""
    return ours(bench, port, stock=True)


def fastapi(backend: str) -> Callable[[Bench, int], Running]:
    """Two uvicorn workers."""

    def begin(bench: Bench, port: int) -> Running:
        command = [str(python_of("fastapi")), "-m", "uvicorn", "fastapi_app:app", "--workers", "2"]
        command += ["--port", str(port), "--log-level", "warning"]
        return start(command, SERVERS, variables(bench, backend), BENCH / "run" / "fastapi.log")

    return begin


def script(name: str, file: str) -> Callable[[Bench, int], Running]:
    """A server that is a script taking its port."""

    def begin(bench: Bench, port: int) -> Running:
        command = [str(python_of(name)), file, str(port)]
        return start(command, SERVERS, variables(bench, "onnx"), BENCH / "run" / f"{name}.log")

    return begin


def bento(bench: Bench, port: int) -> Running:
    """`bentoml serve`."""
    command = [str(python_of("bentoml")), "-m", "bentoml", "serve", "bento_app:Bench", "--port", str(port)]
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(scratch("bentoml"))}
    return start(command, SERVERS, variables(bench, "onnx") | quiet, BENCH / "run" / "bentoml.log")


def mlserver(bench: Bench, port: int) -> Running:
    """`mlserver start` with two parallel workers."""
    folder = scratch("mlserver")
    for name in ("task.py", "mlserver_app.py"):
        shutil.copy(SERVERS / name, folder)
    http, grpc = port, free_ports(1)[0]
    (folder / "settings.json").write_bytes(
        pretty(
            {
                "host": "127.0.0.1",
                "http_port": http,
                "grpc_port": grpc,
                "metrics_port": free_ports(1)[0],
                "parallel_workers": 2,
            }
        )
    )
    (folder / "model-settings.json").write_bytes(pretty({"name": "bench", "implementation": "mlserver_app.Bench"}))
    command = [str(python_of("mlserver")), "-c", "from mlserver.cli import main; main()", "start", "."]
    return start(command, folder, variables(bench, "onnx"), BENCH / "run" / "mlserver.log")


def rivals(model: str) -> list[Rival]:
    """Everyone, in the order of the table."""
    predictions = f"/predictions/{model}"
    return [
        Rival("a", "TorchServe out of the box, eager torch", eager, predictions, compiles=True),
        Rival("b", "TorchServe tuned, its own worker, ONNX", stock, predictions, compiles=True),
        Rival("c", "onnxserve", ours, predictions, compiles=True),
        Rival("d", "FastAPI, eager torch", fastapi("torch")),
        Rival("e", "FastAPI, onnxruntime", fastapi("onnx")),
        Rival("f", "LitServe", script("litserve", "litserve_app.py")),
        Rival("g", "BentoML", bento),
        Rival("h", "Ray Serve", script("ray", "ray_app.py")),
        Rival("i", "MLServer", mlserver, "/v2/models/bench/infer", '"data"%s*:%s*%["([^"]*)"', oip_bodies),
    ]
