"""`python -m benchmarks.gpu_workers`: measure several workers on one GPU: rows per second, batch times, memory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime as ort

from onnxserve.archive import read_proof, unpack
from onnxserve.tuning.tuner import cpu_name

from .arguments import add_store, make_parser
from .gpu import gpu_name, prepared, table_row

COUNTS = (1, 2, 4, 8, 12)
ROWS, SECONDS = 64, 4.0
INTRO = """# Several workers on a GPU

Written by `python -m benchmarks.gpu_workers`, part of `make gpu-test`, on {gpu}, {cpu}, {cores} cores, onnxruntime
{version}. Each process calls a worker's `handle` as TorchServe's worker does: it decodes JSON, preprocesses, runs the
graph and encodes JSON. All processes handle batches of {rows} requests without a pause for {seconds:g} s. TorchServe's
frontend doesn't run; it would use some of the cores. Memory is the driver's figure minus the memory in use before the
start. With NVIDIA's MPS, kernels of different processes run at the same time; without it, processes take turns.

"""
COLUMNS = ("model", "graph", "MPS", "workers", "rows/s", "times one", "batch, ms", "p99, ms", "GPU MiB", "busy, %")


def worker(folder: Path, *, graph: bool) -> None:
    """Run one worker: print "ready", wait for a line on stdin, measure, print the batch times as JSON."""
    handler, requests, context = prepared(folder, [row.input for row in read_proof(folder)][:ROWS], graph=graph)
    for _ in range(3):
        handler.handle(requests, context)
    print("ready", flush=True)
    sys.stdin.readline()
    took: list[float] = []
    end = time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        handler.handle(requests, context)
        took.append(time.perf_counter() - start)
    print(json.dumps(took), flush=True)


def run_workers(folder: Path, count: int, *, graph: bool) -> dict[str, Any]:
    """Run `count` workers at once and return their combined figures."""
    before = read_gpu("memory.used")
    command = [sys.executable, "-m", "benchmarks.gpu_workers", "--worker", str(folder), *(["--graph"] if graph else [])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as cleanup:
        processes = [cleanup.enter_context(subprocess.Popen(command, **pipes)) for _ in range(count)]  # type: ignore[call-overload]
        for process in processes:
            if process.stdout.readline() != "ready\n":
                raise SystemExit(f"a worker of {folder} did not start")
        memory = read_gpu("memory.used") - before
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        time.sleep(SECONDS / 2)
        busy = read_gpu("utilization.gpu")
        took = [json.loads(process.stdout.readline()) for process in processes]
    every = sorted(time_ for times in took for time_ in times)
    rate = sum(len(times) / sum(times) for times in took) * ROWS
    return {
        "rate": rate,
        "ms": statistics.median(every) * 1e3,
        "p99": every[int(0.99 * len(every))] * 1e3,
        "memory": memory,
        "busy": busy,
    }


def read_gpu(what: str) -> int:
    """Return an integer property of the first GPU from nvidia-smi."""
    words = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    return int(text) if text.isdigit() else 0


def lines(archive: Path, mps: str) -> Iterator[str]:
    """Yield an archive's rows of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack(archive, folder)
        signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        graph = all(
            axis == "batch" or isinstance(axis, int) for tensor in signature["inputs"] for axis in tensor["shape"]
        )
        first = 0.0
        for count in COUNTS:
            figures = run_workers(folder, count, graph=graph)
            first = first or figures["rate"]
            rates = [f"{figures['rate']:,.0f}", f"{figures['rate'] / first:.1f}"]
            times = [f"{figures['ms']:.1f}", f"{figures['p99']:.1f}", f"{figures['memory']:,}", str(figures["busy"])]
            yield table_row([archive.stem, signature["variant"], mps, str(count), *rates, *times])


@contextlib.contextmanager
def multi_process_service() -> Iterator[bool]:
    """Run NVIDIA's MPS (https://docs.nvidia.com/deploy/mps/) during the block; yield whether it could be started."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None or subprocess.run([control, "-d"], check=False).returncode != 0:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run([control], input="quit\n", text=True, check=False)


def main() -> None:
    """Measure and write the page."""
    purpose = "Measure several workers on the first GPU: rows per second of all of them, batch times, and memory."
    parser = make_parser("gpu_workers", purpose, "workers-on-a-gpu.md")
    add_store(parser)
    parser.add_argument("--worker", type=Path, metavar="FOLDER", help="run one worker of this archive; internal")
    parser.add_argument("--graph", action="store_true", help="with --worker: record CUDA graphs")
    options = parser.parse_args()
    ort.preload_dlls()
    if options.worker:
        worker(options.worker, graph=options.graph)
        return
    about = {"gpu": gpu_name(), "cpu": cpu_name(), "cores": len(os.sched_getaffinity(0)), "version": ort.__version__}
    text = INTRO.format(**about, rows=ROWS, seconds=SECONDS) + table_row(COLUMNS)
    text += table_row(["---"] * 3 + ["--:"] * (len(COLUMNS) - 3))
    for row in rows(sorted(options.store.glob("*.mar"))):
        print(row, end="", flush=True)
        text += row
        options.page.write_text(text, encoding="utf-8")


def rows(archives: list[Path]) -> Iterator[str]:
    """Yield the rows without MPS, then those with MPS if it is installed."""
    for archive in archives:
        yield from lines(archive, "no")
    with multi_process_service() as shared:
        for archive in archives if shared else []:
            yield from lines(archive, "yes")


if __name__ == "__main__":
    main()
