"""`onnxserve tune load`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from onnxserve.archive import is_signed, read_config
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, show_lines
from onnxserve.cli.progress import steps_bar
from onnxserve.cli.server import Config, State, settings_from
from onnxserve.errors import TuneError

if TYPE_CHECKING:
    from onnxserve.tuning import Tuning


@groups.tune.command()
def load(  # noqa: PLR0913 - each is a flag
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file; its configuration is rewritten in place.")],
    p99_ms: Annotated[
        float | None, typer.Option(help="Objective of the 99th percentile of latency, ms; default: the archive's own.")
    ] = None,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="CPUs to share out among workers; default: all that this process may use.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of each load run, seconds.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=2, max=8, help="Number of searches for each finalist.")] = 4,
    config: Config = None,
    state: State = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Write the choice even if the machine is too noisy to be sure.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the measurements of earlier runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Choose workers, threads, batch size and delay under load, and write them into the archive.

    Example: onnxserve tune load model_store/segment-1.0.0.mar --p99-ms 50
    """
    try:
        from onnxserve.tuning import Plan, check_quiet, state_of, write_tuning
        from onnxserve.tuning import tune as choose_settings
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise TuneError("matplotlib is not installed", fix="pip install 'onnxserve[tune]'") from error

    recorded = read_config(archive).get("tuning") or {}  # an archive that isn't there is an error here
    objective = p99_ms or recorded.get("p99_ms")
    if not objective:
        raise TuneError("the archive has no latency objective", where=str(archive), fix="name one: --p99-ms 50")
    settings, usable = settings_from(config=config, state=state), cpus or len(os.sched_getaffinity(0))
    plan = Plan(archive, float(objective), settings, usable, seconds, rounds)
    if fresh:
        state_of(plan).forget()
    with steps_bar() as bar:
        task = bar.add_task("")
        tuning, measured = choose_settings(
            plan, lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
        )
    if not force:
        check_quiet(tuning)
    signed = is_signed(archive)
    digest = write_tuning(archive, tuning, measured)
    interval = f"95 % interval {tuning.low:.0f} to {tuning.high:.0f}"
    lines = [
        str(tuning.point),
        f"{tuning.requests_per_second:.0f} requests per second with p99 at most {tuning.p99_ms:g} ms ({interval})",
        what_it_gained(tuning),
        f"written to {archive}  sha256 {digest}",
    ]
    if signed:
        lines.append("the archive's signature no longer holds and was removed: onnxserve archive sign makes a new one")
    show_lines({"sha256": digest, **msgspec.to_builtins(tuning)}, *lines, as_json=as_json)


def what_it_gained(tuning: Tuning) -> str:
    """Return the sentence that compares the choice with the setting that the archive had."""
    if tuning.before == tuning.point:
        return "it is the setting that the archive had"
    share = tuning.before_requests_per_second / tuning.requests_per_second
    return f"before: {tuning.before}, {tuning.before_requests_per_second:.0f} requests per second, {share:.2f} of that"
