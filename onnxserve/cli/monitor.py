"""`onnxserve monitor`: what to see of a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from onnxserve.monitor.dashboard import dashboard as made

from .app import app, out

commands = typer.Typer(help="Dashboards of what edge and workers count.", no_args_is_help=True)
app.add_typer(commands, name="monitor")


@commands.command()
def dashboard(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path("onnxserve.json"),
) -> None:
    """Write a Grafana dashboard to import. Example: onnxserve monitor dashboard -o onnxserve.json."""
    output.write_bytes(msgspec.json.format(msgspec.json.encode(made()), indent=1))
    out.print(str(output), markup=False)
