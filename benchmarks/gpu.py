"""`python -m benchmarks.gpu`: measure a worker's batches on a GPU, on the CPU, and with onnxruntime's defaults."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime as ort

from onnxserve.archive import read_proof, unpack
from onnxserve.tuning.tuner import cpu_name
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.offline import OfflineContext, make_handler
from onnxserve_handlers.runtime.gpu import Gpu
from onnxserve_handlers.runtime.session import CPU, CUDA, Provider, ProviderRefused, Session

from .arguments import add_store, make_parser

ROUNDS, ROUND_S = 9, 0.15
SIZES = (1, 64)
ENOUGH_S = 15.0  # time limit for the runs with changing sizes
Run = Callable[[], Any]
INTRO = """# On a GPU

Written by `python -m benchmarks.gpu`, part of `make gpu-test`, on {gpu}, {cpu}, {cores} cores, onnxruntime {version}.
Each way runs the same batch of proof rows through the same graph. The ways take turns for {rounds} rounds; figures are
medians, in milliseconds per batch.

- "As it comes" is `InferenceSession(model, providers=["CUDAExecutionProvider"]).run(…)`. Its matrix products round to
  10 bits (TF32).
- "Bound" is a worker's session. "Recorded" is the same with `[serve.gpu] graph = true`, where shapes are fixed.
- The ratios compare the CPU, and "as it comes", with the faster of bound and recorded.
- The last column is a whole worker's `handle`, from JSON to JSON.
- The rows "in turn" alternate batches of 1 row and of 64. If a graph has convolutions, kernels are chosen and built
  anew at each change of shape, unless all batches are padded to one size.

A CPU would run int8 instead of fp16, several times faster, so "CPU / GPU" flatters the GPU for fp16 graphs.

"""
TIMES = ("CPU, {cores} threads", "as it comes", "bound", "recorded")
COLUMNS = ("model", "graph", "rows", *TIMES, "CPU / GPU", "as it comes / GPU", "nodes on the CPU", "rows/s of `handle`")


def medians(ways: dict[str, Run]) -> dict[str, float]:
    """Return each callable's median time in milliseconds, from interleaved rounds."""
    for run in ways.values():
        for _ in range(5):
            run()
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            samples[name].append(once(run))
    return {name: statistics.median(times) for name, times in samples.items()}


def once(run: Run) -> float:
    """Return the mean time of the runs of one round, in milliseconds."""
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < ROUND_S:
        run()
        count += 1
    return spent / count * 1e3


def in_turn(runs: Sequence[Run]) -> float:
    """Return the mean time of a run in milliseconds while batch sizes alternate; every size is warmed up."""
    for run in runs:
        run()
    start, took = time.perf_counter(), list[float]()
    while len(took) < 2 * ROUNDS and time.perf_counter() - start < ENOUGH_S:
        for run in runs:
            run_start = time.perf_counter()
            run()
            took.append(time.perf_counter() - run_start)
    return statistics.mean(took) * 1e3


def sessions(model: bytes, cores: int, largest: int) -> dict[str, Any]:
    """Build the ways to run the graph, by name; `recorded` is missing where shapes are free."""
    ways: dict[str, Any] = {"cpu": Session(model, Provider(CPU), cores)}
    usual = ort.InferenceSession(model, providers=[CUDA])
    ways["usual"] = lambda arrays: usual.run(None, arrays)
    ways["bound"] = Session(model, Provider(CUDA), 1, largest)
    with contextlib.suppress(ProviderRefused):
        ways["recorded"] = Session(model, Provider(CUDA, gpu=Gpu(graph=True)), 1, largest)
    return {name: getattr(way, "run", way) for name, way in ways.items()}


def prepared(folder: Path, inputs: list[Any], *, graph: bool) -> tuple[Handler, list[dict[str, Any]], OfflineContext]:
    """Load a worker on the first GPU; build a request for each input."""
    handler, context = make_handler(folder), OfflineContext(folder)
    context.model_yaml_config = {"handler": {"provider": "cuda", "deduplicate": False, "gpu": {"graph": graph}}}
    context.system_properties["gpu_id"] = 0
    handler.initialize(context)
    requests = [{"body": bytearray(msgspec.json.encode({"instances": [value]}))} for value in inputs]
    context.headers = [{"Content-Type": "application/json"}] * len(requests)
    return handler, requests, context


def handled(folder: Path, inputs: list[Any], *, graph: bool) -> float:
    """Return the rows per second of a whole worker, with one row per request."""
    handler, requests, context = prepared(folder, inputs, graph=graph)
    return len(inputs) / medians({"handle": lambda: handler.handle(requests, context)})["handle"] * 1e3


def lines(archive: Path, cores: int) -> Iterator[str]:
    """Yield an archive's rows of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack(archive, folder)
        handler, inputs = make_handler(folder), [row.input for row in read_proof(folder)]
        ways = sessions((folder / "model.onnx").read_bytes(), cores, max(SIZES))
        nodes = Session(folder / "model.onnx", Provider(CUDA), 1).placement()
        placed, few = f"{nodes.get(CPU, 0)} of {sum(nodes.values())}", {}
        for size in SIZES:
            rows = inputs[:size]
            few[size] = tensors(handler, rows)
            took = medians({name: partial(run, few[size]) for name, run in ways.items()})
            rate = f"{handled(folder, rows, graph='recorded' in ways):,.0f}"
            yield table_row([archive.stem, handler.signature.variant, str(size), *figures(took), placed, rate])
        took = {name: in_turn([partial(run, batch) for batch in few.values()]) for name, run in ways.items()}
        yield table_row([archive.stem, handler.signature.variant, "in turn", *figures(took), placed, ""])


def tensors(handler: Handler, inputs: list[Any]) -> dict[str, Any]:
    """Return the graph's inputs as copies, since the handler reuses its buffers for the next batch."""
    rows = [handler.check(value, "row") for value in inputs]
    return {name: array.copy() for name, array in handler.tensors(rows).items()}


def figures(took: dict[str, float]) -> list[str]:
    """Format the milliseconds of each way, and their ratios."""
    best = min(took["bound"], took.get("recorded", took["bound"]))
    times = [f"{took[name]:.3f}" if name in took else "-" for name in ("cpu", "usual", "bound", "recorded")]
    return [*times, f"{took['cpu'] / best:.1f}", f"{took['usual'] / best:.2f}"]


def table_row(cells: Sequence[str]) -> str:
    """Format a Markdown table row."""
    return f"| {' | '.join(cells)} |\n"


def gpu_name() -> str:
    """Return the GPU's name and driver version, as the driver reports them."""
    words = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return (
        subprocess.run(words, capture_output=True, text=True, check=True)
        .stdout.strip()
        .splitlines()[0]
        .replace(", ", ", driver ")
    )


def main() -> None:
    """Measure and write the page."""
    purpose = "Measure the batches of every archive on the first GPU, on the CPU, and with onnxruntime's defaults."
    parser = make_parser("gpu", purpose, "gpu.md")
    add_store(parser)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    ort.preload_dlls()
    about = {"gpu": gpu_name(), "cpu": cpu_name(), "cores": cores, "version": ort.__version__, "rounds": ROUNDS}
    text = INTRO.format(**about) + table_row(COLUMNS).format(**about)
    text += table_row(["---", "---", *["--:"] * (len(COLUMNS) - 2)])
    for archive in sorted(options.store.glob("*.mar")):
        for row in lines(archive, cores):
            print(row, end="", flush=True)
            text += row
            options.page.write_text(text, encoding="utf-8")  # a partial page, in case a later archive takes too long


if __name__ == "__main__":
    main()
