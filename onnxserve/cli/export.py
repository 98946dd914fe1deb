"""`onnxserve export`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import sign_archive
from onnxserve.errors import OnnxserveError
from onnxserve.torchserve import Settings, stores_of

from .console import AsJson, console, show_lines
from .groups import root
from .progress import steps_bar
from .server import State, settings_from

NEEDED = {"torch", "onnx", "onnxscript", "jinja2", "safetensors", "fsspec", "pyarrow"}


@root.command()
def export(  # noqa: PLR0913 - each is a flag
    folder: Annotated[Path, typer.Argument(help="The model's folder, which has a model.toml.")],
    store: Annotated[Path, typer.Option(help="The model store, a folder, that gets the archive.")] = Path(
        "model_store"
    ),
    search_minutes: Annotated[
        float | None,
        typer.Option(
            help="Longest search for the variant `mixed`, minutes; the next export resumes it. Default: model.toml's.",
        ),
    ] = None,
    sign_key: Annotated[
        Path | None, typer.Option(help="Sign the archive with this private key: EC P-256, PEM.")
    ] = None,
    state: State = None,
    *,
    draft: Annotated[
        bool, typer.Option("--draft", help="Make the fp32 graph alone, as quickly as possible, for a first try.")
    ] = False,
    unproven: Annotated[
        bool,
        typer.Option(
            "--unproven", help="Make an archive even if too few rows prove it; it carries the word `unproven`."
        ),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let other content take the place of a version that exists.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Refuse the network, and name what is not on this machine yet.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print the whole traceback of a failed step.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a model to a proven archive.

    Example: onnxserve export models/segment
    """
    if folder.is_file():
        raise OnnxserveError(
            f"{folder} is a file; a model's folder is wanted",
            fix="onnxserve new table|text|image NAME makes a folder: put the file into it, and write "
            f'source = "{folder.name}" in its model.toml',
        )
    if verbose:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("onnxserve_export.step").setLevel(logging.DEBUG)
    try:
        from onnxserve_export.export import export_model
        from onnxserve_export.options import ExportOptions
        from onnxserve_export.steps import STEPS
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        raise OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[export]'") from error
    with steps_bar(transient=True) as bar:
        task = bar.add_task("export", total=None)

        def say(line: str) -> None:
            if line.startswith("["):
                bar.update(task, description=line.replace("[", r"\["), completed=0, total=None)
            console.print(line, markup=False)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        served = served_by(settings_from(state=state))
        options = ExportOptions(unproven, draft, replace, served, search_minutes, offline)
        work = export_model(folder, store, STEPS, say, progress=progress, options=options)
    if sign_key is not None:
        work.sha256 = sign_archive(work.archive, sign_key)
    document = {"archive": str(work.archive), "sha256": work.sha256, **work.evidence["summary"]}
    show_lines(document, f"{work.archive}  sha256 {work.sha256}", as_json=as_json)


def served_by(settings: Settings) -> tuple[Path, ...]:
    """Return the folder of the archives that a running server loaded; none if no server runs."""
    stores = stores_of(settings)
    return () if stores.served == stores.kept else (stores.served,)
