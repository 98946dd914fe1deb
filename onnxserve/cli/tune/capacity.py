"""`onnxserve tune capacity`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import max_batch, read_config, summarise, threads_of, unpack_trusted
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, out, show
from onnxserve.cli.table import Number, print_table
from onnxserve.errors import TuneError
from onnxserve.scratch import Scratch

HEADINGS = ("model", "version", *map(Number, ("workers", "threads", "batch", "p99 ms", "busy", "requests/s")))


@groups.tune.command()
def capacity(
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file tuned for this kind of machine.")],
    rate: Annotated[float, typer.Option(min=1, help="Load on all servers together, requests per second.")],
    p99_ms: Annotated[
        float | None,
        typer.Option(help="Objective of the 99th percentile of latency, ms; default: the archive's own, else 100."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers per server, at least 1; default: the archive's.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads per worker, at least 1; default: the archive's, or cores / workers."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Calculate how many servers like this one a load needs.

    Example: onnxserve tune capacity model_store/digits-1.0.0.mar --rate 2000
    """
    from onnxserve.tuning.capacity import plan, service_times
    from onnxserve.tuning.grid import batches
    from onnxserve.tuning.times import measure_times

    config, summary = read_config(archive), summarise(archive)
    count = workers or int(config["maxWorkers"])
    each = threads or threads_of(config) or max(1, len(os.sched_getaffinity(0)) // count)
    batch = min(int(config["batchSize"]), max_batch(archive))
    objective = p99_ms or float((config.get("tuning") or {}).get("p99_ms", 100))
    with Scratch() as scratch, console.status("measuring batches"):
        unpack_trusted(archive, scratch)
        times = measure_times(scratch, [each], batches(batch))
    service = service_times(times, each)
    needed = plan(rate, service, count, batch, objective / 1e3)
    if not needed.servers:
        what = f"one row alone takes {1e3 * service(1):.1f} ms: no rate keeps p99 at {objective:g} ms"
        raise TuneError(what, where=str(archive), fix="more --threads, a smaller variant, or a higher --p99-ms")

    def human() -> None:
        numbers = (count, each, batch, f"{needed.p99_ms:.1f}", f"{needed.busy:.0%}", f"{needed.most:,.0f}")
        out.print(f"one server, with p99 at most {objective:g} ms:")
        print_table(HEADINGS, [(summary.name, summary.version, *numbers)])
        out.print(f"{rate:,.0f} requests/s: {needed.servers} servers, at 70 % of that each")

    show(asdict(needed), human, as_json=as_json)
