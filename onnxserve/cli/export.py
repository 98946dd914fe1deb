"""`onnxserve export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import sign_archive
from onnxserve.errors import OnnxserveError

from .console import AsJson, show_lines
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


@root.command()
def export(  # noqa: PLR0913 - each is a flag
    folder: Annotated[Path, typer.Argument(help="The model's folder, which has a model.toml.")],
    store: Store = Path("model_store"),
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
    all_variants: Annotated[
        bool,
        typer.Option("--all-variants", help="Let every variant compete, whatever model.toml names; takes minutes."),
    ] = False,
    draft: Draft = False,
    unproven: Unproven = False,
    replace: Replace = False,
    offline: Offline = False,
    trust: Trust = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Export a model to a proven archive.

    Example: onnxserve export models/segment
    """
    if folder.is_file():
        raise OnnxserveError(
            f"{folder} is a file; a model's folder is expected",
            fix=f"onnxserve import {folder} NAME makes the folder, and exports it",
        )
    if verbose:
        show_traces()
    from onnxserve_export.options import ExportOptions

    settings = settings_from(state=state)
    options = ExportOptions(
        unproven, draft, replace, server_stores_of(settings), search_minutes, offline, trust, all_variants
    )
    work = run_export(folder, store, options)
    if sign_key is not None:
        work.sha256 = sign_archive(work.archive, sign_key)
    document = {"archive": str(work.archive), "sha256": work.sha256, **work.evidence["summary"]}
    show_lines(document, *result_lines(work, settings), as_json=as_json)
