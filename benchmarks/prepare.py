"""Inputs that all servers share: the archive's graph, the torch module, and the rows."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec

from onnxserve.archive import file_digest, unpack
from onnxserve.archive.offline import answers
from onnxserve.definition import read_definition
from onnxserve_export.export_state import ExportState
from onnxserve_export.sources.torch_module import TorchModule
from onnxserve_export.step import run_steps
from onnxserve_export.steps import STEPS

from . import ROOT

BENCH = ROOT / ".bench"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onnxserve" / "benchmarks"
SERVERS = Path(__file__).with_name("servers")
ROWS = 256
SEED = 0
OURS, FP32 = "model.onnx", "fp32.onnx"  # the archive's graph, and the one that rivals' users would have
FIELD = {"segment": "features", "sentiment": "text", "digits": "image"}


@dataclass(frozen=True)
class Bench:
    """A model's archive, the unpacked folder that rivals read, rows and their labels."""

    model: str
    archive: Path
    folder: Path
    values: list[Any]
    labels: list[str]


def prepare(model: str) -> Bench:
    """Unpack the archive, pickle the module and collect rows; the result is cached until the archive changes."""
    archive = ROOT / "model_store" / f"{model}-1.0.0.mar"
    if not archive.is_file():
        sys.exit(f"{archive} is missing\n  fix:   make export")
    folder = BENCH / f"{model}-{file_digest(archive)[:12]}"
    if not (folder / "rows.json").is_file():
        unpack(archive, folder)
        make(model, folder)
    rows = msgspec.json.decode((folder / "rows.json").read_bytes())
    return Bench(model, archive, folder, rows["values"], rows["labels"])


def make(model: str, folder: Path) -> None:
    """Write `module.pkl`, `fp32.onnx` and `rows.json` with the first steps of an export."""
    names = [step.name for step in STEPS]
    first = STEPS[: names.index("trace") + 1]
    with tempfile.TemporaryDirectory() as scratch:
        state = ExportState(read_definition(ROOT / "models" / model), Path(scratch), Path(scratch))
        run_steps(state, first)
        if not isinstance(state.model, TorchModule):
            sys.exit(f"{model} isn't a torch module, so rivals have nothing to run")
        network = state.model.module
        for name, module in list(sys.modules.items()):
            # Pickle classes of the model's own files by value: rivals don't have our code.
            place = getattr(module, "__file__", None)
            if not place or "site-packages" in place or name in ("__main__", "__mp_main__"):
                continue
            if _defines(module, network):
                cloudpickle.register_pickle_by_value(module)
        # Users send rows of all sizes in turn; the export sorts its certify rows by size.
        rows, draws = list(state.split.certify), random.Random(SEED)  # noqa: S311 - a sample, not a secret
        values = [row.value for row in draws.sample(rows, min(ROWS, len(rows)))]
        bodies = [msgspec.json.encode({"instances": [value]}) for value in values]
        # Compute the labels before any file is written: the handler rejects a folder with unknown files.
        labels = [answer["body"]["predictions"][0]["label"] for answer in answers(folder, bodies)]
        shutil.copy(state.fp32, folder / FP32)
        (folder / "module.pkl").write_bytes(cloudpickle.dumps(network, protocol=pickle.HIGHEST_PROTOCOL))
    (folder / "rows.json").write_bytes(msgspec.json.encode({"values": values, "labels": labels}))


def _defines(module: Any, network: Any) -> bool:
    return any(type(part).__module__ == module.__name__ for part in network.modules())


def scratch(name: str) -> Path:
    """Return an empty folder for one server."""
    folder = BENCH / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def variables(bench: Bench, backend: str = "onnx", graph: str = OURS) -> dict[str, str]:
    """Return the environment of `servers/task.py`; one thread per process, since two processes share two cores."""
    return {
        "BENCH_FOLDER": str(bench.folder),
        "BENCH_TASK": bench.model,
        "BENCH_BACKEND": backend,
        "BENCH_GRAPH": graph,
        "BENCH_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def bodies(bench: Bench) -> list[bytes]:
    """Return a JSON document per row, for servers whose request format we define."""
    return [msgspec.json.encode({FIELD[bench.model]: value}) for value in bench.values]


def v2_bodies(bench: Bench) -> list[bytes]:
    """Return the same rows in the Open Inference Protocol: FP32 `[1, columns]`, or BYTES `[1, 1]`."""
    name = FIELD[bench.model]
    documents = []
    for value in bench.values:
        data, datatype = (value, "FP32") if isinstance(value, list) else ([value], "BYTES")
        tensor = {"name": name, "shape": [1, len(data)], "datatype": datatype, "data": data}
        documents.append({"inputs": [tensor]})
    return [msgspec.json.encode(document) for document in documents]
