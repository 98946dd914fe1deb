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

from .console import AsJson, console, out, show
from .groups import root
from .server import State, settings_from

if TYPE_CHECKING:
    from onnxserve.batch import DaftEngine, Estimate, Folder, Job, Machine, Manifest, Plan
    from onnxserve.batch.worker import PartResult


NAMED = 5  # of the files that were left out


@root.command()
def batch(  # noqa: PLR0913 - each is a flag
    archive: Annotated[str, typer.Argument(help="The archive (.mar): a path, or a URL that a cluster can read.")],
    inputs: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs or URLs of Parquet, CSV, JSONL, Arrow, images or sounds."),
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", help="The folder or URL to write; the same command resumes a stopped job.")
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="MODEL'S=COLUMN, where a source names a column differently; repeat it for more."),
    ] = None,
    keep: Annotated[str, typer.Option(help="Columns to copy to the output, separated by commas; or all.")] = "",
    partition_by: Annotated[
        str, typer.Option(help="Kept columns whose values make folders of the output, separated by commas.")
    ] = "",
    limit: Annotated[int, typer.Option(min=0, help="Score only the first rows; 0 for all rows.")] = 0,
    max_errors: Annotated[
        int | None, typer.Option(min=0, help="Most bad rows; with more of them the job stops. Default: no limit.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="Format of the sources: parquet, arrow, csv, jsonl, images or sounds.")
    ] = "",
    delimiter: Annotated[
        str,
        typer.Option(
            help="The character between the fields of CSV; a header without commas tells semicolons and tabs."
        ),
    ] = ",",
    engine: Annotated[str, typer.Option(help="The engine: local for this machine, ray for a cluster.")] = "local",
    address: Annotated[str, typer.Option(help="Address of the Ray cluster; default: the one that Ray finds.")] = "",
    endpoint: Annotated[str, typer.Option(help="Score through this running server instead: a URL or unix:/path.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Most requests under way at the endpoint.")] = 8,
    ca: Annotated[str, typer.Option(help="The CA certificate (PEM) of the endpoint; default: the public ones.")] = "",
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 for one per usable CPU.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads per worker, at least 1.")] = 1,
    rows: Annotated[
        int, typer.Option("--batch", min=0, help="Rows that run together; 0 for the largest number that is proven.")
    ] = 0,
    part_rows: Annotated[
        int, typer.Option(min=0, help="Rows per part, the unit that is redone; 0 for a size by the kind of source.")
    ] = 0,
    provider: Annotated[
        str, typer.Option(help="Execution provider of ONNX Runtime: auto, cpu, openvino, cuda or tensorrt.")
    ] = "auto",
    gpus: Annotated[int, typer.Option(min=0, help="Number of GPUs, each for one worker.")] = 0,
    features: Annotated[
        str, typer.Option(help="A Feast repository that completes rows, which bring keys and times.")
    ] = "",
    state: State = None,
    price: Annotated[
        float, typer.Option(min=0, help="Price of one CPU for one hour, in any currency, for --dry-run.")
    ] = 0.0,
    *,
    scores: Annotated[bool, typer.Option("--scores", help="Add the score of every label.")] = False,
    outputs: Annotated[bool, typer.Option("--outputs", help="Add the graph's first output as it is.")] = False,
    redact: Annotated[
        bool, typer.Option("--redact", help="Write the places of bad rows without their values.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Score a sample and estimate the whole job; write nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete what an earlier job wrote to the output and start again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score files; bad rows are set aside.

    Example: onnxserve batch model_store/segment-1.0.0.mar rows.parquet -o scored
    """
    jobs = library()
    remote = jobs.Remote(endpoint.rstrip("/"), concurrency, ca=ca) if endpoint else None
    request = jobs.JobRequest(
        archive,
        tuple(inputs),
        check_choice(jobs.Kind, format_, "--format") if format_ else None,
        parse_map(columns or ()),
        split_words(keep),
        delimiter,
        jobs.Shape(scores, outputs, split_words(partition_by)),
        remote,
        limit,
        rows,
        part_rows,
        features,
        str(settings_from(state=state).state),
        redact,
    )
    with console.status("reading the sources"):
        job = jobs.job_of(request)
    count = 1 if endpoint else workers or gpus or max(1, len(os.sched_getaffinity(0)) // threads)
    machine = jobs.Machine(count, threads, provider, gpus)
    daft = jobs.DaftEngine(check_choice(jobs.Engine, engine, "--engine"), address)
    if dry_run:
        with console.status("scoring a sample"):
            estimate = jobs.estimate(jobs.Plan(job, tuple(jobs.parts_of(job))), daft, machine, price)
        show(msgspec.to_builtins(estimate), lambda: show_estimate(estimate), as_json=as_json)
    else:
        manifest = score(job, jobs.Folder(output), daft, machine, max_errors, restart=restart)
        show(msgspec.to_builtins(manifest), lambda: show_manifest(manifest, output), as_json=as_json)


def score(
    job: Job, folder: Folder, engine: DaftEngine, machine: Machine, errors: int | None, *, restart: bool
) -> Manifest:
    """Begin the job, or resume it."""
    jobs = library()
    with jobs.lock_output(folder):
        return score_with_progress(jobs.plan_of(job, folder, restart=restart), folder, engine, machine, errors)


def show_manifest(manifest: Manifest, url: str) -> None:
    """Print the result of a finished job."""
    jobs = library()
    out.print(f"{manifest.scored:,} rows scored, {manifest.failed:,} bad, in {len(manifest.files)} files")
    out.print(f"{url}/{jobs.MANIFEST}", markup=False)
    if manifest.skipped:
        names = ", ".join(PurePosixPath(name).name for name in manifest.skipped[:NAMED])
        out.print(f"{len(manifest.skipped):,} files have an unknown format and were left out: {names}", markup=False)
    if manifest.failed:
        out.print(f"{url}/{jobs.QUARANTINE} lists the bad rows with their errors", markup=False)


def library() -> ModuleType:
    """Return `onnxserve.batch`; BatchError names the extra that brings its dependencies."""
    try:
        from onnxserve import batch as jobs
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "fsspec"):
            raise
        raise BatchError(f"{error.name} is not installed", fix="pip install 'onnxserve[batch]'") from error
    return jobs


def score_with_progress(
    plan: Plan, folder: Folder, engine: DaftEngine, machine: Machine, errors: int | None
) -> Manifest:
    """Score the parts that are left, with a progress bar; Ctrl-C keeps the finished parts."""
    jobs = library()
    before = sum(part.rows for part in jobs.finished_parts(plan, folder).values())
    bar = Progress(
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[bad]}"),
        console=console,
    )
    pace = Pace(time.monotonic())
    with bar:
        task = bar.add_task("", total=plan.rows, completed=before, rate="", bad="")

        def advance(part: PartResult) -> None:
            bar.update(task, advance=part.rows, rate=pace.rate(part), bad=pace.bad)

        try:
            manifest: Manifest = jobs.score(plan, folder, engine, machine, errors, advance)
        except KeyboardInterrupt:
            console.print("stopped; finished parts are kept, and the same command resumes the job")
            raise typer.Exit(130) from None
    return manifest


@dataclass
class Pace:
    """Rows since the start, for the progress bar."""

    started_at: float
    rows: int = 0
    failed: int = 0

    def rate(self, part: PartResult) -> str:
        """Count one more part; return the mean rate so far."""
        self.rows, self.failed = self.rows + part.rows, self.failed + part.failed
        return f"{self.rows / (time.monotonic() - self.started_at):,.0f} rows/s"

    @property
    def bad(self) -> str:
        """Return the number of bad rows as text; empty for none."""
        return f"{self.failed:,} bad" if self.failed else ""


def show_estimate(estimate: Estimate) -> None:
    """Print what a whole job would take."""
    bad = f"{estimate.failed:,} of {estimate.sampled:,} sampled are bad"
    out.print(f"{estimate.rows:,} rows in {estimate.parts:,} parts; {bad}")
    time_ = f"{estimate.seconds:,.0f} s, {estimate.cpu_hours:.3f} CPU hours"
    out.print(f"about {estimate.rows_per_second:,.0f} rows/s: {time_}")
    out.print(f"about {estimate.output_bytes / 2**20:,.1f} MiB of output")
    if estimate.cost:
        out.print(f"about {estimate.cost:.2f} at the price given")


def check_choice(kind: Any, value: str, flag: str) -> Any:
    """Return the value; BatchError unless it is a word of the literal type `kind`."""
    if value not in get_args(kind):
        raise BatchError(f"{value!r} is not known", where=flag, fix=f"use one of {', '.join(get_args(kind))}")
    return value


def parse_map(texts: Sequence[str]) -> dict[str, str]:
    """Return the columns of sources by the model's names, from `MODEL'S=COLUMN` texts; BatchError for another text."""
    if wrong := [text for text in texts if not all(text.partition("="))]:
        raise BatchError(f"{wrong[0]!r} is not MODEL'S=COLUMN", where="--map", fix="write it as --map x=amount")
    return dict(text.split("=", 1) for text in texts)


def split_words(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
