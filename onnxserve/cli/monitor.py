"""`onnxserve monitor`: dashboards, accuracy and drift of a running server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from onnxserve.errors import MonitorError
from onnxserve.gateway import read_config
from onnxserve.monitoring.dashboard import dashboard as make_dashboard

from .console import AsJson, console, out, show, show_lines
from .groups import monitor as commands
from .server import Config, GatewayFile, State, Store, settings_from
from .table import Number, print_table
from .watching import log_folder

if TYPE_CHECKING:
    from onnxserve.monitoring.accuracy import Accuracy
    from onnxserve.monitoring.evidently import MeasureDrift

ACCURACY = ("model", "version", *map(Number, ("rows", "right", "accuracy", "95 % from", "to")))
DRIFT = ("measure", *map(Number, ("PSI", "JS", "KS p")), "verdict")


@commands.command()
def dashboard(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, JSON.")] = Path("onnxserve.json"),
    *,
    as_json: AsJson = False,
) -> None:
    """Write a dashboard that Grafana imports.

    Example: onnxserve monitor dashboard -o onnxserve.json
    """
    output.write_bytes(msgspec.json.format(msgspec.json.encode(make_dashboard()), indent=1))
    show_lines({"dashboard": str(output)}, str(output), as_json=as_json)


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Guard imports that an extra brings; MonitorError names the extra where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MonitorError(f"{error.name} is not installed", fix=f"pip install 'onnxserve[{name}]'") from error


@commands.command()
def accuracy(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    labels: Annotated[
        Path,
        typer.Argument(help="A Parquet file with columns request_id, label and, for requests of several rows, row."),
    ],
    gateway_file: GatewayFile = None,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Calculate the accuracy in production from labels that came later.

    Example: onnxserve monitor accuracy sentiment labels.parquet
    """
    with extra("monitor"):
        from onnxserve.monitoring.accuracy import accuracy as measure_accuracy
    settings = settings_from(gateway_file=gateway_file, state=state, config=config)
    log = log_folder(read_config(settings.gateway_file).predictions, settings)
    with console.status("reading the prediction log"):
        versions = measure_accuracy(log, model, labels)
    if not versions:
        raise MonitorError(
            "no label belongs to a prediction in the log",
            where=str(labels),
            fix="use the request ids of the prediction log",
        )

    def human() -> None:
        print_table(ACCURACY, [accuracy_row(version) for version in versions])
        if versions[0].unmatched:
            out.print(f"{versions[0].unmatched:,} labels belong to no logged prediction")

    show([msgspec.to_builtins(version) for version in versions], human, as_json=as_json)


def accuracy_row(version: Accuracy) -> tuple[str, ...]:
    """Return the cells of ACCURACY."""
    shares = (f"{share:.2%}" for share in (version.accuracy, version.low, version.high))
    return version.model, version.version, f"{version.rows:,}", f"{version.right:,}", *shares


@commands.command()
def drift(  # noqa: PLR0913 - one option each
    model: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[str, typer.Option(help="The version; default: the one that answered last.")] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write: Evidently's report, HTML.")] = Path(
        "drift.html"
    ),
    rows: Annotated[int, typer.Option(min=50, help="Number of the newest rows to compare.")] = 10_000,
    store: Store = None,
    gateway_file: GatewayFile = None,
    state: State = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare logged rows and answers with those of the proof.

    Example: onnxserve monitor drift segment -o drift.html
    """
    with extra("drift"):
        from onnxserve.monitoring.drift import tables
        from onnxserve.monitoring.evidently import report
    settings = settings_from(store=store, gateway_file=gateway_file, state=state, config=config)
    log = log_folder(read_config(settings.gateway_file).predictions, settings)
    with console.status("comparing"):
        compared = tables(settings.store, log, model, version, rows)
        measures = report(compared, output)

    def human() -> None:
        counts = f"{len(compared.live):,} rows beside {len(compared.proven):,} of the proof"
        out.print(f"{compared.model} {compared.version}: {counts}", markup=False)
        print_table(DRIFT, [drift_row(measure) for measure in measures])
        if compared.note:
            out.print(compared.note, markup=False)
        out.print(str(output), markup=False)

    show([msgspec.to_builtins(measure) for measure in measures], human, as_json=as_json)


def drift_row(measure: MeasureDrift) -> tuple[str, ...]:
    """Return the cells of DRIFT."""
    p_value = "" if measure.ks_p is None else f"{measure.ks_p:.2g}"
    return measure.measure, f"{measure.psi:.3f}", f"{measure.js:.3f}", p_value, "drifts" if measure.drifts else "steady"
