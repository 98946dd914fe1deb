"""`onnxserve monitor`: what to see of a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from onnxserve.edge import read_intent
from onnxserve.errors import MonitorError
from onnxserve.monitor.dashboard import dashboard as made

from .app import AsJson, app, out, show
from .server import Config, State, TrafficFile, settings_from
from .watching import log_folder

commands = typer.Typer(help="Dashboards, and how right a model is.", no_args_is_help=True)
app.add_typer(commands, name="monitor")


@commands.command()
def dashboard(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path("onnxserve.json"),
) -> None:
    """Write a Grafana dashboard to import. Example: onnxserve monitor dashboard -o onnxserve.json."""
    output.write_bytes(msgspec.json.format(msgspec.json.encode(made()), indent=1))
    out.print(str(output), markup=False)


@commands.command()
def accuracy(
    model: Annotated[str, typer.Argument(help="A model's name.")],
    labels: Annotated[Path, typer.Argument(help="Parquet with request_id, label and, for several rows, row.")],
    traffic: TrafficFile = None,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Live accuracy, from labels that came later. Example: onnxserve monitor accuracy sentiment labels.parquet."""
    try:
        from onnxserve.monitor.accuracy import accuracy as judged
    except ModuleNotFoundError as error:
        raise MonitorError(f"{error.name} is not installed", fix="pip install 'onnxserve[monitor]'") from error
    settings = settings_from(traffic=traffic, state=state, config=config)
    found = judged(log_folder(read_intent(settings.traffic).predictions, settings), model, labels)
    if not found:
        raise MonitorError(
            "no label belongs to a logged prediction", where=str(labels), fix="request ids must be equal"
        )

    def human() -> None:
        for one in found:
            out.print(
                f"{one.model} {one.version}: {one.accuracy:.2%} of {one.rows:,} rows are right "
                f"(95 % interval {one.low:.2%} to {one.high:.2%})"
            )
        if found[0].unmatched:
            out.print(f"[dim]{found[0].unmatched:,} labels belong to no logged prediction[/dim]")

    show([msgspec.to_builtins(one) for one in found], human, as_json=as_json)
