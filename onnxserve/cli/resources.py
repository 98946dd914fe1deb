"""`onnxserve resources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from .app import AsJson, app, out, show


@app.command()
def resources(
    archives: Annotated[list[Path], typer.Argument(help="The .mar files of one server.")],
    cpus: Annotated[int | None, typer.Option(min=1, help="Of the pod, for archives that aren't tuned.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Measure what a pod needs, as values of the chart. Example: onnxserve resources model_store/*.mar > pod.yaml."""
    from onnxserve.tuning.resources import chart_values, need

    needs = [need(archive) for archive in archives]
    values = chart_values(needs, cpus)

    def human() -> None:
        for one in needs:
            threads = one.threads or "untuned"
            out.print(
                f"# {one.name} {one.version}: {one.workers} workers, threads {threads}, {one.megabytes} MiB each",
                markup=False,
            )
        out.print(yaml.safe_dump(values, sort_keys=False), end="", markup=False)

    show({"archives": [one._asdict() for one in needs], **values}, human, as_json=as_json)
