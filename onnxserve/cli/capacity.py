"""`onnxserve capacity`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import max_batch, read_config, summarise, threads_of, unpack_trusted
from onnxserve.errors import TuneError

from .app import AsJson, app, console, out, show


@app.command()
def capacity(
    archive: Annotated[Path, typer.Argument(help="A .mar file, tuned for this kind of machine.")],
    rate: Annotated[float, typer.Option(min=1, help="Requests a second, of all servers together.")],
    p99_ms: Annotated[float | None, typer.Option(help="The archive's own by default, else 100.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Of a server; by default the archive's.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of a worker.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Servers like this one that a load needs. Example: onnxserve capacity model_store/digits-1.0.0.mar --rate 2000."""
    from onnxserve.tuning.capacity import line, plan
    from onnxserve.tuning.grid import batches
    from onnxserve.tuning.times import measure_times

    config, one = read_config(archive), summarise(archive)
    count = workers or int(config["maxWorkers"])
    each = threads or threads_of(config) or max(1, len(os.sched_getaffinity(0)) // count)
    batch = min(int(config["batchSize"]), max_batch(archive))
    objective = p99_ms or float((config.get("tuning") or {}).get("p99_ms", 100))
    with tempfile.TemporaryDirectory() as scratch, console.status("measuring batches"):
        unpack_trusted(archive, Path(scratch))
        times = measure_times(Path(scratch), [each], batches(batch))
    service = line(times, each)
    found = plan(rate, service, count, batch, objective / 1e3)
    if not found.servers:
        what = f"one row alone takes {1e3 * service(1):.1f} ms: no rate keeps p99 at {objective:g} ms"
        raise TuneError(what, where=str(archive), fix="more --threads, a smaller variant, or a higher --p99-ms")

    def human() -> None:
        out.print(
            f"{one.name} {one.version}, {count} workers of {each} threads, batches of at most {batch}:\n"
            f"  one server: {found.most:,.0f} requests/s with p99 {found.p99_ms:.1f} ms of {objective:g}, "
            f"workers busy {found.busy:.0%} of the time\n"
            f"  {rate:,.0f} requests/s: {found.servers} servers, at 70 % of that each",
            markup=False,
        )

    show(asdict(found), human, as_json=as_json)
