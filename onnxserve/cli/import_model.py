"""`onnxserve import`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from onnxserve.errors import OnnxserveError
from onnxserve_export.extra import extra_needed

from .console import AsJson, console, show_lines
from .exporting import (
    Draft,
    Offline,
    Replace,
    Store,
    Trust,
    Unproven,
    Verbose,
    result_lines,
    run_export,
    server_stores_of,
    show_traces,
)
from .groups import root
from .server import State, settings_from

if TYPE_CHECKING:
    from onnxserve_export.importing import Imported


@root.command("import")
def import_model(  # noqa: PLR0913 - each is a flag
    source: Annotated[
        str,
        typer.Argument(
            help="The model: a path or a URL of a file or folder, a function `module:factory`, a package as "
            "`pypi://NAME@VERSION`, or an archive or repository of another server. Pickles and exported "
            "programs (.pt2) need --trust."
        ),
    ],
    name: Annotated[str, typer.Argument(help="The name of the new model.")],
    models: Annotated[Path, typer.Option("--into", help="The folder that gets the new model's folder.")] = Path(
        "models"
    ),
    kind: Annotated[
        str, typer.Option(help="The kind of input, such as text or image, if the model doesn't state it.")
    ] = "",
    task: Annotated[str, typer.Option(help="The task, such as classification, if the model doesn't state it.")] = "",
    labels: Annotated[
        str, typer.Option(help="The labels with commas between them, or a file with one on each line.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="The columns of a table with commas between them, or a file with one on each line.")
    ] = "",
    tensor: Annotated[
        list[str] | None, typer.Option(help="An input that the model doesn't describe, as frames=float32[time,80].")
    ] = None,
    fields: Annotated[
        list[str] | None, typer.Option("--set", help="A field of model.toml, as input.max_tokens=256.")
    ] = None,
    rows: Annotated[
        str, typer.Option(help="Examples to prove the model with: a file, a folder, a URL or a function.")
    ] = "",
    row: Annotated[
        Path | None, typer.Option(help="An example that clients send, for an archive of TorchServe: a file.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", help="A file that rows need and that isn't beside the model, as PATH/tokenizer.json."),
    ] = None,
    version: Annotated[str, typer.Option(help="The version of the model. Default: 1.0.0.")] = "",
    store: Store = Path("model_store"),
    state: State = None,
    *,
    draft: Draft = False,
    unproven: Unproven = False,
    replace: Replace = False,
    trust: Trust = False,
    offline: Offline = False,
    no_export: Annotated[bool, typer.Option("--no-export", help="Write the model's folder only.")] = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Make a model folder of a model that exists, and export it.

    Example: onnxserve import hf://owner/reviews reviews --rows reviews.parquet
    """
    if verbose:
        show_traces()
    with extra_needed():
        from onnxserve_export.importing import ImportOptions
        from onnxserve_export.importing import import_model as write_folder
        from onnxserve_export.options import ExportOptions
    settings = settings_from(state=state)
    server_stores = server_stores_of(settings)
    answers = ImportOptions(
        kind,
        task,
        labels,
        columns,
        rows,
        version,
        tuple(tensor or ()),
        tuple(fields or ()),
        row,
        tuple(files or ()),
        trust,
        offline,
        () if no_export or replace else (store, *server_stores),
    )
    imported = write_folder(source, name, models, answers, lambda line: console.print(line, markup=False))
    for line in lines_of(imported):
        console.print(line, markup=False)
    document = {"folder": str(imported.folder), "version": imported.definition.version}
    command = export_command(imported.folder, store, trust=trust, unproven=unproven or not imported.has_rows)
    unproven = unproven or not (imported.has_rows or draft)
    if no_export:
        show_lines(document, str(imported.folder), f"then: {command}", as_json=as_json)
        return
    try:
        work = run_export(
            imported.folder, store, ExportOptions(unproven, draft, replace, server_stores, None, offline, trust)
        )
    except OnnxserveError:
        console.print(stays_line(imported.folder, command), markup=False)
        raise
    document |= {"archive": str(work.archive), "sha256": work.sha256, **work.evidence["summary"]}
    show_lines(
        document,
        *result_lines(work, settings),
        f"to change it: edit {imported.folder / 'model.toml'}, its version too, and run {command}",
        as_json=as_json,
    )


def stays_line(folder: Path, command: str) -> str:
    """Return what to do with the folder of an import whose export failed."""
    return (
        f"{folder} stays: import it again with other options, which replaces it while nobody changes it; or change its "
        f"model.toml, and run {command}"
    )


def export_command(folder: Path, store: Path, *, trust: bool, unproven: bool) -> str:
    """Return the command that exports the folder again, with the flags that the import had or implied."""
    flags = [flag for flag, on in (("--trust", trust), ("--unproven", unproven)) if on]
    if store != Path("model_store"):
        flags += ["--store", quote(str(store))]
    return " ".join(["onnxserve export", quote(str(folder)), *flags])


def lines_of(imported: Imported) -> list[str]:
    """Return what was written, and what an import without rows means."""
    definition = imported.definition
    lines = [f"{imported.folder / 'model.toml'}: {definition.input.kind} to {definition.output.task}"]
    if not imported.has_rows:
        from onnxserve_export.importing import wanted_rows

        count = wanted_rows(definition)
        enough = f"about {count} rows" if count else "rows"
        lines.append(f"no rows: the archive will be unproven; one row proves fp32, {enough} a faster variant: --rows")
    return lines
