"""`onnxserve tune`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from onnxserve.archive import is_signed, read_config
from onnxserve.errors import TuneError

from .app import AsJson, app, console, out, show
from .server import Config, State, settings_from


@app.command()
def tune(  # noqa: PLR0913 - each is a flag
    archive: Annotated[Path, typer.Argument(help="A .mar file; its configuration is rewritten in place.")],
    p99_ms: Annotated[float | None, typer.Option(help="The objective; the archive's own by default.")] = None,
    cpus: Annotated[int | None, typer.Option(help="CPUs to share out; all of this process by default.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of one load run.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=2, max=8, help="Searches per finalist.")] = 4,
    config: Config = None,
    state: State = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Write the choice though the machine is noisy.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier measurements.")] = False,
    as_json: AsJson = False,
) -> None:
    """Choose workers, threads, batch size and delay by load. Example: onnxserve tune model_store/x.mar --p99-ms 50."""
    try:
        from onnxserve.tuning import Plan, check_quiet, state_of, write_tuning
        from onnxserve.tuning import tune as run
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise TuneError("matplotlib is not installed", fix="pip install 'onnxserve[tune]'") from error

    objective = p99_ms or read_config(archive).get("tuning", {}).get("p99_ms")
    if not objective:
        raise TuneError("no objective", where=str(archive), fix="name one: --p99-ms 50")
    plan = Plan(
        archive,
        float(objective),
        settings_from(config=config, state=state),
        cpus or len(os.sched_getaffinity(0)),
        seconds,
        rounds,
    )
    if fresh:
        state_of(plan).forget()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("")
        tuning, measured = run(
            plan, lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
        )
    if not force:
        check_quiet(tuning)
    signed = is_signed(archive)
    digest = write_tuning(archive, tuning, measured)

    def human() -> None:
        out.print(f"{tuning.point}", markup=False)
        out.print(
            f"{tuning.requests_per_second:.0f} requests per second with p99 at most {tuning.p99_ms:g} ms "
            f"(95 % interval {tuning.low:.0f} to {tuning.high:.0f})"
        )
        out.print(f"written to {archive}  sha256 {digest}", markup=False)
        if signed:
            out.print("its signature no longer held and is gone: onnxserve sign it again")

    show({"sha256": digest, **msgspec.to_builtins(tuning)}, human, as_json=as_json)
