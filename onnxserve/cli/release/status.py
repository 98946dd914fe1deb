"""`onnxserve release status`, `history` and `disagreements`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from onnxserve.cli.console import AsJson, out, show
from onnxserve.cli.groups import release as commands
from onnxserve.cli.server import Config, ManagementPort, State, settings_from
from onnxserve.cli.table import Number, print_table
from onnxserve.release import History, VersionStatus
from onnxserve.release.shadows import read_reports

from .changes import Model, server

SHOWN = 20  # cases of a shadow
STATUS = ("model", "version", "role", "proof", "state", Number("workers"), Number("pending"), Number("limit"))
HISTORY = ("time", "by", "action", "version", "changes")


def status_row(version: VersionStatus) -> tuple[object, ...]:
    """Return the cells of STATUS."""
    state = ("ready" if version.ready else "not ready") + (", default" if version.default else "")
    numbers = (version.workers, version.pending, version.pending_limit)
    return version.model, version.version, version.role, version.proof or "-", state, *numbers


def other_archives(versions: list[VersionStatus]) -> list[str]:
    """Return lines about archives whose file isn't named MODEL-VERSION.mar."""
    return [
        f"{version.model} {version.version} is served from {version.archive}"
        for version in versions
        if version.archive != f"{version.model}-{version.version}.mar"
    ]


def unwatched(versions: list[VersionStatus]) -> list[str]:
    """Return lines about versions whose drift nothing judges."""
    return [
        f"drift of {version.model} {version.version} isn't judged: {version.no_drift}"
        for version in versions
        if version.no_drift
    ]


@commands.command()
def status(
    model: Annotated[str | None, typer.Argument(help="The model's name; default: all models.")] = None,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show versions, their roles and workers, and how many requests are pending of how many allowed.

    Example: onnxserve release status segment
    """
    versions = server(config, state, management_port).status(model)

    def human() -> None:
        print_table(STATUS, [status_row(version) for version in versions])
        for line in other_archives(versions) + unwatched(versions):
            out.print(line, markup=False)

    # Until 0.2 `role` was called `label`; both names are there for one minor version.
    show([{**asdict(version), "label": version.role} for version in versions], human, as_json=as_json)


@commands.command()
def history(model: Model, config: Config = None, state: State = None, *, as_json: AsJson = False) -> None:
    """Show who changed the release, when, and what changed.

    Example: onnxserve release history segment
    """
    events = History(settings_from(config=config, state=state).state).events(model)

    def human() -> None:
        print_table(
            HISTORY, [(event.time, event.by, event.action, event.version, "\n".join(event.changes)) for event in events]
        )

    show([msgspec.to_builtins(event) for event in events], human, as_json=as_json)


@commands.command()
def disagreements(
    model: Model,
    config: Config = None,
    state: State = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show where a shadow answers differently, with the inputs.

    Example: onnxserve release disagreements segment
    """
    reports = read_reports(settings_from(config=config, state=state).state, model)

    def human() -> None:
        for report in reports:
            out.print(
                f"{report.shadow} beside {report.stable}: {report.pairs} pairs, {report.disagreements} labels differ, "
                f"{report.shifted} scores shifted, {report.failed} failed"
            )
            for case in report.cases[:SHOWN]:
                out.print(f"  {case.request_id}: {case.stable} {case.shadow} {case.rows[:200]}", markup=False)
        if not reports:
            out.print(f"no shadow of {model} has been compared")

    show([msgspec.to_builtins(report) for report in reports], human, as_json=as_json)
