"""`onnxserve batch`: files in, Parquet out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from onnxserve.errors import BatchError

from .app import AsJson, app, console, out, show
from .server import State, settings_from

if TYPE_CHECKING:
    from onnxserve.batch import DaftEngine, Estimate, Folder, Job, Machine, Manifest, Plan
    from onnxserve.batch.worker import PartResult


NAMED = 5  # files, of those that were left out


@app.command()
def batch(  # noqa: PLR0913 - each is a flag
    archive: Annotated[str, typer.Argument(help="The archive (.mar); a path, or a URL for a cluster.")],
    inputs: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, URLs: Parquet, CSV, JSONL, Arrow, images.")
    ],
    output: Annotated[str, typer.Option("-o", "--output", help="A folder or URL; run again to go on.")],
    columns: Annotated[list[str] | None, typer.Option("--map", help="MODEL'S=COLUMN, where names differ.")] = None,
    keep: Annotated[str, typer.Option(help="Columns to take along, with commas; or all.")] = "",
    partition_by: Annotated[str, typer.Option(help="Kept columns that make folders, with commas.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Only the first rows; 0 is all.")] = 0,
    max_errors: Annotated[int | None, typer.Option(min=0, help="Stop when more rows are bad.")] = None,
    format_: Annotated[str, typer.Option("--format", help="parquet, arrow, csv, jsonl or images.")] = "",
    delimiter: Annotated[str, typer.Option(help="Of CSV.")] = ",",
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    address: Annotated[str, typer.Option(help="Of the Ray cluster.")] = "",
    endpoint: Annotated[str, typer.Option(help="Score through this server instead: a URL or unix:/path.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at the endpoint.")] = 8,
    ca: Annotated[str, typer.Option(help="Certificate that signed the endpoint's.")] = "",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one a usable CPU.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of each worker.")] = 1,
    rows: Annotated[int, typer.Option("--batch", min=0, help="Rows that run together; 0 is the archive's choice.")] = 0,
    part_rows: Annotated[int, typer.Option(min=0, help="Rows of a part, the least that is done again.")] = 0,
    provider: Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt.")] = "auto",
    gpus: Annotated[int, typer.Option(min=0, help="GPUs; one worker each.")] = 0,
    features: Annotated[str, typer.Option(help="A Feast repository: rows bring keys and times.")] = "",
    state: State = None,
    price: Annotated[float, typer.Option(min=0, help="Of an hour of one CPU, for --dry-run.")] = 0.0,
    *,
    scores: Annotated[bool, typer.Option("--scores", help="The score of every label.")] = False,
    outputs: Annotated[bool, typer.Option("--outputs", help="The graph's first output as it is.")] = False,
    redact: Annotated[bool, typer.Option("--redact", help="Write no values of bad rows, only where they are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Score a sample and say what all would take.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what an earlier job wrote there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score files; bad rows are set aside. Example: onnxserve batch x.mar rows.parquet -o scored."""
    jobs = library()
    remote = jobs.Remote(endpoint.rstrip("/"), concurrency, ca=ca) if endpoint else None
    ask = jobs.JobRequest(
        archive,
        tuple(inputs),
        one_of(jobs.Kind, format_, "--format") if format_ else None,
        pairs(columns or ()),
        words(keep),
        delimiter,
        jobs.Shape(scores, outputs, words(partition_by)),
        remote,
        limit,
        rows,
        part_rows,
        features,
        str(settings_from(state=state).state),
        redact,
    )
    job = jobs.job_of(ask)
    count = 1 if endpoint else workers or gpus or max(1, len(os.sched_getaffinity(0)) // threads)
    machine = jobs.Machine(count, threads, provider, gpus)
    engines = jobs.DaftEngine(one_of(jobs.Engine, engine, "--engine"), address)
    if dry_run:
        found = jobs.estimate(jobs.Plan(job, tuple(jobs.parts_of(job))), engines, machine, price)
        show(msgspec.to_builtins(found), lambda: tell(found), as_json=as_json)
    else:
        manifest = scored(job, jobs.Folder(output), engines, machine, max_errors, restart=restart)
        show(msgspec.to_builtins(manifest), lambda: told(manifest, output), as_json=as_json)


def scored(
    job: Job, folder: Folder, engines: DaftEngine, machine: Machine, errors: int | None, *, restart: bool
) -> Manifest:
    """The job begun, or gone on with."""
    jobs = library()
    with jobs.alone(folder):
        return watched(jobs.plan_of(job, folder, restart=restart), folder, engines, machine, errors)


def told(manifest: Manifest, url: str) -> None:
    """A finished job for a person."""
    jobs = library()
    out.print(f"{manifest.scored:,} rows scored, {manifest.failed:,} bad, in {len(manifest.files)} files")
    out.print(f"{url}/{jobs.MANIFEST}", markup=False)
    if manifest.skipped:
        names = ", ".join(PurePosixPath(name).name for name in manifest.skipped[:NAMED])
        out.print(f"{len(manifest.skipped):,} files are of no known kind and were left out: {names}", markup=False)
    if manifest.failed:
        out.print(f"{url}/{jobs.QUARANTINE} says which were bad, and why", markup=False)


def library() -> ModuleType:
    """`onnxserve.batch`, whose dependencies are an extra."""
    try:
        from onnxserve import batch as jobs
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "fsspec"):
            raise
        raise BatchError(f"{error.name} is not installed", fix="pip install 'onnxserve[batch]'") from error
    return jobs


def watched(plan: Plan, folder: Folder, engines: DaftEngine, machine: Machine, errors: int | None) -> Manifest:
    """Score what is left, with a bar; Ctrl-C leaves what is finished."""
    jobs = library()
    before = sum(one.rows for one in jobs.finished(plan, folder).values())
    bar = Progress(
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[bad]}"),
        console=console,
    )
    seen = Seen(time.monotonic())
    with bar:
        task = bar.add_task("", total=plan.rows, completed=before, rate="", bad="")

        def more(done: PartResult) -> None:
            bar.update(task, advance=done.rows, rate=seen.rate(done), bad=seen.bad)

        try:
            manifest: Manifest = jobs.score(plan, folder, engines, machine, errors, more)
        except KeyboardInterrupt:
            console.print("stopped; finished parts are kept, the same command goes on from there")
            raise typer.Exit(130) from None
    return manifest


@dataclass
class Seen:
    """Rows since the beginning, for the bar."""

    begun: float
    rows: int = 0
    failed: int = 0

    def rate(self, done: PartResult) -> str:
        """With one more part."""
        self.rows, self.failed = self.rows + done.rows, self.failed + done.failed
        return f"{self.rows / (time.monotonic() - self.begun):,.0f} rows/s"

    @property
    def bad(self) -> str:
        """Bad rows, where there are any."""
        return f"{self.failed:,} bad" if self.failed else ""


def tell(found: Estimate) -> None:
    """An estimate for a person."""
    out.print(f"{found.rows:,} rows in {found.parts:,} parts; {found.failed:,} of {found.sampled:,} sampled are bad")
    out.print(f"about {found.rows_per_second:,.0f} rows/s: {found.seconds:,.0f} s, {found.cpu_hours:.3f} CPU hours")
    out.print(f"about {found.output_bytes / 2**20:,.1f} MiB of output")
    if found.cost:
        out.print(f"about {found.cost:.2f} at the price given")


def one_of(kind: Any, value: str, flag: str) -> Any:
    """A word of a closed list."""
    if value not in get_args(kind):
        raise BatchError(f"{value!r} is not known", where=flag, fix=f"use {', '.join(get_args(kind))}")
    return value


def pairs(given: Sequence[str]) -> dict[str, str]:
    """`MODEL'S=COLUMN` each."""
    if wrong := [one for one in given if not all(one.partition("="))]:
        raise BatchError(f"not MODEL'S=COLUMN: {wrong[0]!r}", where="--map")
    return {mine: theirs for mine, _, theirs in (one.partition("=") for one in given)}


def words(text: str) -> tuple[str, ...]:
    """Between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
