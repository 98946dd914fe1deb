"""TorchServe without our code: with its defaults, and with our configuration but its own worker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from onnxserve.torchserve import find_java, free_ports
from onnxserve.torchserve.properties import parse_properties, render_properties

from . import ROOT
from .prepare import SERVERS, Bench, scratch
from .process import Running, start

OURS = ("plugins_path", "blacklist_env_vars")  # our properties that TorchServe's own worker doesn't support
WORKER = "-Dmodel_server_home="


def eager(bench: Bench, port: int) -> Running:
    """Start TorchServe with its default configuration and worker, and a handler in the style of its documentation."""
    folder = scratch("torchserve")
    members = [SERVERS / "task.py", bench.folder / "module.pkl", bench.folder / "signature.json"]
    if bench.model == "sentiment":
        members.append(bench.folder / "tokenizer.json")
    archiver = str(Path(sys.executable).with_name("torch-model-archiver"))
    command = [archiver, "--model-name", bench.model, "--version", "1.0"]
    command += ["--handler", str(SERVERS / "eager_handler.py"), "--extra-files", ",".join(map(str, members))]
    subprocess.run([*command, "--export-path", str(folder)], check=True, capture_output=True)
    return _started(folder, folder / f"{bench.model}.mar", port, {})


def tuned(bench: Bench, port: int) -> Running:
    """Serve our archive with our configuration, TorchServe's own worker and no plugin."""
    folder = scratch("torchserve-tuned")
    shutil.copy(bench.archive, folder)
    properties = parse_properties((ROOT / "config.properties").read_text(encoding="utf-8"))
    for name in OURS:
        properties.pop(name, None)
    if "metrics_config" in properties:
        properties["metrics_config"] = str(ROOT / properties["metrics_config"])
    arguments = [argument for argument in properties.get("vmargs", "").split() if not argument.startswith(WORKER)]
    properties["vmargs"] = " ".join(arguments).replace("configurationFile=file:", f"configurationFile=file:{ROOT}/")
    return _started(folder, folder / bench.archive.name, port, properties)


def _started(folder: Path, archive: Path, port: int, properties: Mapping[str, str]) -> Running:
    management, metrics, grpc, grpc_management = free_ports(4)
    addresses = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_port": str(grpc),
        "grpc_management_port": str(grpc_management),
        "model_store": str(folder),
        "load_models": archive.name,
        "disable_token_authorization": "true",
    }
    config = folder / "config.properties"
    config.write_text(render_properties({**properties, **addresses}), encoding="utf-8")
    command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--ncs"]
    command += ["--ts-config", config.name, "--model-store", "."]
    temp = {"TEMP": str(folder), "TMPDIR": str(folder), "JAVA_HOME": str(find_java().home)}
    return start(command, folder, temp, folder / "log.txt")
