"""`onnxserve tune resources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, out, show
from onnxserve.cli.table import Number, table_lines

HEADINGS = ("model", "version", *map(Number, ("workers", "threads", "MiB/worker")))
WIDTH = 78  # of a comment in 80 columns


@groups.tune.command()
def resources(
    archives: Annotated[list[Path], typer.Argument(help="The archives of one server, .mar files.")],
    cpus: Annotated[
        int | None,
        typer.Option(min=1, help="CPUs of the pod, for archives that aren't tuned; default: this machine's."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Measure the CPUs and the memory that a pod needs, as values of the chart.

    Example: onnxserve tune resources model_store/*.mar > pod.yaml
    """
    from onnxserve.tuning.resources import chart_values, measure_need

    with console.status("measuring archives"):
        needs = [measure_need(archive) for archive in archives]
    values = chart_values(needs, cpus)

    def human() -> None:
        rows = [(need.name, need.version, need.workers, need.threads or "untuned", need.megabytes) for need in needs]
        out.print("\n".join(f"# {line}" for line in table_lines(HEADINGS, rows, WIDTH)), markup=False)
        out.print(yaml.safe_dump(values, sort_keys=False), end="", markup=False)

    show({"archives": [need._asdict() for need in needs], **values}, human, as_json=as_json)
