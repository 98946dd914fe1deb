"""`onnxserve release`: roles and versions of a running server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from onnxserve.errors import ReleaseError
from onnxserve.gateway import Auto, Canary, Share
from onnxserve.release import History, ReleaseService
from onnxserve.release.shadows import read_reports

from .app import AsJson, app, out, show
from .server import Config, ManagementPort, State, Store, release_of, settings_from

commands = typer.Typer(help="Move traffic between versions of a model.", no_args_is_help=True)
app.add_typer(commands, name="release")

Model = Annotated[str, typer.Argument(help="A model's name.")]
Version = Annotated[str, typer.Argument(help="A version.")]
SHOWN = 20
Percent = Annotated[float, typer.Option(min=0, max=100, help="Of the requests that name no version.")]
Plan = Annotated[bool, typer.Option("--plan", help="Only say what would change.")]
OtherSignature = Annotated[
    bool, typer.Option("--other-signature", help="Though it has other columns, labels or tensors than the stable one.")
]


def server(config: Path | None, state: Path | None, management_port: int | None) -> ReleaseService:
    """Release steps on the server that the flags name."""
    return release_of(settings_from(config=config, state=state, management_port=management_port))


def tell(steps: ReleaseService, changes: list[str], *, plan: bool = False) -> None:
    """What changed, or would; Unrecorded if the history has no line of it."""
    if plan:
        out.print("would change:" if changes else "nothing would change")
    for line in changes or ([] if plan else ["nothing changed"]):
        out.print(line, markup=False)
    steps.history.check_written()


@commands.command()
def status(
    model: Annotated[str | None, typer.Argument(help="One model; all if left out.")] = None,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Versions, roles, workers, requests that wait of those that may. Example: onnxserve release status segment."""
    found = server(config, state, management_port).status(model)

    def human() -> None:
        table = Table("model", "version", "role", "default", "ready", "workers", "pending")
        table.add_column("archive", overflow="fold")
        for one in found:
            marks = ["yes" if flag else "" for flag in (one.default, one.ready)]
            waiting = f"{one.pending} of {one.pending_limit}"
            table.add_row(one.model, one.version, one.role, *marks, str(one.workers), waiting, one.archive)
        out.print(table)

    # `label` is the name of `role` until 0.2.
    show([{**asdict(one), "label": one.role} for one in found], human, as_json=as_json)


@commands.command()
def register(
    archive: Annotated[Path, typer.Argument(help="A .mar file.")],
    config: Config = None,
    store: Store = None,
    state: State = None,
    management_port: ManagementPort = None,
) -> None:
    """Check an archive and load it beside the others. Example: onnxserve release register segment-1.1.0.mar."""
    settings = settings_from(config=config, store=store, state=state, management_port=management_port)
    steps = release_of(settings)
    version = steps.register(archive)
    tell(steps, [f"{archive.name} is ready as version {version}; it answers when named, or as a canary"])


@commands.command()
def canary(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    percent: Percent = 5.0,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    auto: Annotated[bool, typer.Option("--auto", help="Step up by itself, back when it harms.")] = False,
    steps: Annotated[str, typer.Option(help="Percentages of an automatic canary.")] = "1,5,25,50",
    requests: Annotated[int, typer.Option(min=1, help="Answers of the canary that a step compares.")] = 200,
    seconds: Annotated[float, typer.Option(min=0, help="Time that a step takes at least.")] = 60.0,
    false_alarm: Annotated[float, typer.Option(help="Chance that a harmless version is taken back.")] = 0.01,
    other_signature: OtherSignature = False,
    plan: Plan = False,
) -> None:
    """Let a version answer a share of the requests. Example: onnxserve release canary segment 2.0 --percent 5."""
    release = server(config, state, management_port)
    course = Auto(percentages(steps), requests, seconds, chance(false_alarm)) if auto else None
    share = Canary(version, course.steps[0] if course else percent, auto=course)
    tell(release, release.canary(model, share, other_signature=other_signature, plan=plan), plan=plan)


def percentages(text: str) -> tuple[float, ...]:
    """`1,5,25` as numbers; ReleaseError unless they rise from more than 0 to less than 100."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ReleaseError(f"steps {text!r} are no numbers", fix="write them as 1,5,25,50") from error
    if list(found) != sorted(set(found)) or not 0 < found[0] <= found[-1] < 100:
        fix = "write them as 1,5,25,50: at 100 no stable answer is left to compare with, and the last step promotes"
        raise ReleaseError(f"steps {text!r} don't rise from above 0 to below 100", fix=fix)
    return found


def chance(value: float) -> float:
    """The value; ReleaseError unless it is a chance that a decision can have."""
    if not 0 < value < 1:
        what = f"the chance of a false alarm must be above 0 and below 1, got {value:g}"
        raise ReleaseError(what, fix="--false-alarm 0.01")
    return value


@commands.command()
def ab(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    percent: Percent = 50.0,
    by: Annotated[str, typer.Option(help="A header; requests with the same value get the same version.")] = "x-user",
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    other_signature: OtherSignature = False,
    plan: Plan = False,
) -> None:
    """Like canary, but a client always gets the same version. Example: onnxserve release ab segment 2.0 --by x-user."""
    steps = server(config, state, management_port)
    share = Canary(version, percent, by.lower())
    tell(steps, steps.canary(model, share, other_signature=other_signature, plan=plan), plan=plan)


@commands.command()
def shadow(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Annotated[str, typer.Argument(help="A version, or `off`.")],
    percent: Percent = 100.0,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    plan: Plan = False,
) -> None:
    """Send a version copies whose answers nobody waits for. Example: onnxserve release shadow segment 2.0."""
    steps = server(config, state, management_port)
    tell(steps, steps.shadow(model, None if version == "off" else Share(version, percent), plan=plan), plan=plan)


@commands.command()
def smaller(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Annotated[str, typer.Argument(help="A version, or `off`.")],
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    other_signature: OtherSignature = False,
    plan: Plan = False,
) -> None:
    """Name a cheaper version for when the stable one is too busy. Example: onnxserve release smaller segment 1.0.1."""
    steps = server(config, state, management_port)
    named = "" if version == "off" else version
    tell(steps, steps.smaller(model, named, other_signature=other_signature, plan=plan), plan=plan)


@commands.command()
def disagreements(
    model: Model,
    config: Config = None,
    state: State = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Where a shadow answers otherwise, with the inputs. Example: onnxserve release disagreements segment."""
    reports = read_reports(settings_from(config=config, state=state).state, model)

    def human() -> None:
        for one in reports:
            out.print(
                f"{one.shadow} beside {one.stable}: {one.pairs} pairs, {one.disagreements} labels differ, "
                f"{one.shifted} scores shifted, {one.failed} failed"
            )
            for case in one.cases[:SHOWN]:
                out.print(f"  {case.request_id}: {case.stable} {case.shadow} {case.rows[:200]}", markup=False)
        if not reports:
            out.print(f"no shadow of {model} has been compared")

    show([msgspec.to_builtins(one) for one in reports], human, as_json=as_json)


@commands.command()
def promote(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Annotated[str, typer.Argument(help="A version; the canary if left out.")] = "",
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    other_signature: OtherSignature = False,
    plan: Plan = False,
) -> None:
    """Let a version answer requests that name none. Example: onnxserve release promote segment 1.1.0."""
    steps = server(config, state, management_port)
    tell(steps, steps.promote(model, version, other_signature=other_signature, plan=plan), plan=plan)


@commands.command()
def rollback(
    model: Model,
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    plan: Plan = False,
) -> None:
    """Take the canary away, else go back to the stable version before. Example: onnxserve release rollback segment."""
    steps = server(config, state, management_port)
    tell(steps, steps.rollback(model, plan=plan), plan=plan)


@commands.command()
def history(model: Model, config: Config = None, state: State = None, *, as_json: AsJson = False) -> None:
    """Who did what, and what it changed. Example: onnxserve release history segment."""
    events = History(settings_from(config=config, state=state).state).events(model)

    def human() -> None:
        table = Table("time", "by", "action", "version")
        table.add_column("changes", overflow="fold")
        for one in events:
            table.add_row(one.time, one.by, one.action, one.version, "\n".join(one.changes))
        out.print(table)

    show([msgspec.to_builtins(one) for one in events], human, as_json=as_json)


@commands.command()
def scale(
    model: Model,
    version: Version,
    workers: Annotated[int, typer.Argument(help="Number of workers.")],
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
) -> None:
    """Change the workers of a version. Example: onnxserve release scale segment 1.0.0 2."""
    steps = server(config, state, management_port)
    steps.scale(model, version, workers)
    tell(steps, [f"{model} {version}: {workers} workers"])


@commands.command()
def retire(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    config: Config = None,
    store: Store = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    plan: Plan = False,
) -> None:
    """Drain a version without a role, then remove it. Example: onnxserve release retire segment 1.0.0."""
    steps = release_of(settings_from(config=config, store=store, state=state, management_port=management_port))
    tell(steps, steps.retire(model, version, plan=plan), plan=plan)
