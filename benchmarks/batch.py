"""`python -m benchmarks.batch`: compare batch scoring with a bare loop and a tutorial's scorer, in rounds."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from onnxserve.tuning.tuner import cpu_name

from . import ROOT
from .arguments import make_parser
from .prepare import Bench, prepare

SCORERS = Path(__file__).parent / "scorers"
MEGA = 2**20
POOLED_SHARE = {"segment": 100, "sentiment": 1}  # the tutorial's scorer gets 1/N of the rows
INTRO = """# Batch scoring

Written by `python -m benchmarks.batch` on {cpu}, {cores} cores. A figure is the median of {rounds} rounds, in which the
scorers take turns: rows per second, from start to exit. Memory is the highest sum over all processes.

- `onnxserve batch` starts Daft and its workers, checks golden rows, checks every row, and computes digests of what it
  writes.
- The bare loop is one process that reads Parquet, runs onnxruntime on all cores and takes the best label. Its batches
  have 4,096 rows (`segment`) or as many as the archive was proven with (`sentiment`). It checks nothing, and can't
  resume after a failure.
- The pool is a scorer as tutorials write it: dicts, `ThreadPoolExecutor`, one row per call. Of `segment` it got a
  hundredth of the rows.
"""


@dataclass
class Took:
    """Measured runs of one scorer."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    rows: int = 0

    @property
    def rate(self) -> float:
        """Rows per second of the median run."""
        return self.rows / statistics.median(self.seconds)


def source(bench: Bench, rows: int, folder: Path) -> Path:
    """Write a Parquet file of resampled rows of the model's data; noise on numbers makes every row distinct."""
    path = folder / f"{bench.model}-{rows}.parquet"
    draws, writer, block = np.random.default_rng(11), None, 131_072
    for start in range(0, rows, block):
        picks = draws.integers(0, len(bench.values), min(block, rows - start))
        if isinstance(bench.values[0], str):
            table = pa.table({"text": [bench.values[at] for at in picks]})
        else:
            names = column_names(bench)
            values = np.array(bench.values)[picks] * draws.normal(1, 0.01, (len(picks), len(names)))
            table = pa.table(dict(zip(names, values.T, strict=True)))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()
    return path


def column_names(bench: Bench) -> list[str]:
    """Return the column names of the archive's signature."""
    import msgspec

    columns: list[str] = msgspec.json.decode((bench.folder / "signature.json").read_bytes())["input"]["columns"]
    return columns


def timed(command: list[str]) -> tuple[float, float]:
    """Return a command's duration in seconds and the peak memory of its process tree in MiB."""
    start, most = time.perf_counter(), [0.0]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    watcher = threading.Thread(target=watch, args=(process.pid, most), daemon=True)
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{errors.decode()[-2000:]}")
    return seconds, most[0] / MEGA


def watch(pid: int, most: list[float]) -> None:
    """Sample the tree's memory four times a second; PSS counts shared pages once."""
    try:
        process = psutil.Process(pid)
        while process.is_running():
            family = [process, *process.children(recursive=True)]
            most[0] = max(most[0], sum(memory(each) for each in family))
            time.sleep(0.25)
    except psutil.Error:
        return


def memory(process: psutil.Process) -> float:
    """Return the PSS of a process in bytes."""
    try:
        return float(process.memory_full_info().pss)
    except psutil.Error:
        return 0.0


def commands(bench: Bench, rows: Path, few: Path, folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Return each scorer's command and its input file."""
    cores = str(len(os.sched_getaffinity(0)))
    out = folder / "out"
    bare = [sys.executable, str(SCORERS / "bare.py"), str(bench.folder), str(rows)]
    ours = [sys.executable, "-m", "onnxserve", "batch", str(bench.archive), str(rows), "-o", str(out / "ours")]
    pooled = [sys.executable, str(SCORERS / "pooled.py"), str(bench.folder), str(few), str(out / "pooled"), cores]
    return {
        "onnxserve batch": (ours, rows),
        "bare loop": ([*bare, str(out / "bare"), cores], rows),
        "bare loop, nothing written": ([*bare, "-", cores], rows),
        "pool of threads, dicts": (pooled, few),
    }


def measure(bench: Bench, rows: int, rounds: int, folder: Path) -> dict[str, Took]:
    """Run all scorers in turn; exit if their labels disagree."""
    many, few = source(bench, rows, folder), source(bench, rows // POOLED_SHARE[bench.model], folder)
    results: dict[str, Took] = {}
    for _ in range(rounds):
        for name, (command, path) in commands(bench, many, few, folder).items():
            shutil.rmtree(folder / "out", ignore_errors=True)
            (folder / "out").mkdir()
            seconds, megabytes = timed(command)
            took = results.setdefault(name, Took(rows=pq.ParquetFile(path).metadata.num_rows))
            took.seconds.append(seconds)
            took.megabytes.append(megabytes)
            print(f"{bench.model} {name}: {took.rows / seconds:,.0f} rows/s, {megabytes:,.0f} MiB", flush=True)
            if name == "onnxserve batch":
                keep(folder)
            elif name == "bare loop":
                agree(folder)
    return results


def keep(folder: Path) -> None:
    """Save the labels of `onnxserve batch`; `agree` compares the bare loop's with them."""
    table = ds.dataset(folder / "out" / "ours", format="parquet").to_table(columns=["row", "prediction"])
    pq.write_table(table.sort_by("row").select(["prediction"]), folder / "labels.parquet")


def agree(folder: Path) -> None:
    """Allow at most one different label in a thousand; dynamically quantised graphs depend on the batch size."""
    own_labels = pq.read_table(folder / "labels.parquet")["prediction"].cast(pa.string()).to_numpy(zero_copy_only=False)
    bare_labels = pq.read_table(folder / "out" / "bare")["prediction"].cast(pa.string()).to_numpy(zero_copy_only=False)
    share = float((own_labels != bare_labels).mean())
    print(f"labels that differ: {share:.2e}", flush=True)
    if share > 1e-3:
        sys.exit("the bare loop says something else")


def table(model: str, results: dict[str, Took]) -> list[str]:
    """Build a model's table: each scorer's rate, and the ratio of ours to it."""
    ours = results["onnxserve batch"].rate
    lines = [f"## {model}, {results['onnxserve batch'].rows:,} rows", ""]
    lines += ["| way | rows/s | ours over it | MiB |", "|---|--:|--:|--:|"]
    for name, took in results.items():
        lines.append(f"| {name} | {took.rate:,.0f} | {ours / took.rate:.2f} | {max(took.megabytes):,.0f} |")
    return [*lines, ""]


def main() -> None:
    """Measure and write the page."""
    purpose = "Compare `onnxserve batch` with a bare loop over the rows and with a scorer as tutorials write it."
    parser = make_parser("batch", purpose, "batch.md")
    parser.add_argument("--rounds", type=int, default=3, help="run each scorer so many times (default: %(default)s)")
    parser.add_argument(
        "--rows", type=int, default=10_000_000, help="rows for the model segment (default: %(default)s)"
    )
    parser.add_argument("--texts", type=int, default=4_000, help="rows for the model sentiment (default: %(default)s)")
    options = parser.parse_args()
    lines = [INTRO.format(cpu=cpu_name(), cores=len(os.sched_getaffinity(0)), rounds=options.rounds)]
    for model, rows in (("segment", options.rows), ("sentiment", options.texts)):
        with tempfile.TemporaryDirectory(prefix="onnxserve-bench-") as folder:
            lines += table(model, measure(prepare(model), rows, options.rounds, Path(folder)))
    options.page.write_text("\n".join(lines), encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
