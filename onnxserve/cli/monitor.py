"""`onnxserve monitor`: what to see of a running server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from onnxserve.errors import MonitorError
from onnxserve.gateway import read_config
from onnxserve.monitoring.dashboard import dashboard as made

from .app import AsJson, app, out, show
from .server import Config, GatewayFile, State, Store, settings_from
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


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports that an extra brings; MonitorError names it where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MonitorError(f"{error.name} is not installed", fix=f"pip install 'onnxserve[{name}]'") from error


@commands.command()
def accuracy(
    model: Annotated[str, typer.Argument(help="A model's name.")],
    labels: Annotated[Path, typer.Argument(help="Parquet with request_id, label and, for several rows, row.")],
    gateway_file: GatewayFile = None,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Live accuracy, from labels that came later. Example: onnxserve monitor accuracy sentiment labels.parquet."""
    with extra("monitor"):
        from onnxserve.monitoring.accuracy import accuracy as judged
    settings = settings_from(gateway_file=gateway_file, state=state, config=config)
    found = judged(log_folder(read_config(settings.gateway_file).predictions, settings), model, labels)
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


@commands.command()
def drift(  # noqa: PLR0913 - one option each
    model: Annotated[str, typer.Argument(help="A model's name.")],
    version: Annotated[str, typer.Option(help="By default the one that answered last.")] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="Evidently's page.")] = Path("drift.html"),
    rows: Annotated[int, typer.Option(min=50, help="The newest that many.")] = 10_000,
    store: Store = None,
    gateway_file: GatewayFile = None,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Logged rows and answers beside those of the proof. Example: onnxserve monitor drift segment -o drift.html."""
    with extra("drift"):
        from onnxserve.monitoring.drift import tables
        from onnxserve.monitoring.evidently import report
    settings = settings_from(store=store, gateway_file=gateway_file, state=state, config=config)
    log = log_folder(read_config(settings.gateway_file).predictions, settings)
    given = tables(settings.store, log, model, version, rows)
    found = report(given, output)

    def human() -> None:
        out.print(f"{given.model} {given.version}: {len(given.live):,} rows beside {len(given.proven):,} of the proof")
        for one in found:
            p = "" if one.ks_p is None else f", KS p {one.ks_p:.2g}"
            colour = "red" if one.drifts else "green"
            out.print(f"  [{colour}]{one.measure}: PSI {one.psi:.3f}, JS {one.js:.3f}{p}[/{colour}]")
        if given.note:
            out.print(f"[dim]{given.note}[/dim]")
        out.print(str(output), markup=False)

    show([msgspec.to_builtins(one) for one in found], human, as_json=as_json)
