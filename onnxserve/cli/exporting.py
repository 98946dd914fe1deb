"""The export behind `export` and `import`: its options, its progress bar, and the packages that it needs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxserve.torchserve import Settings, stores_of
from onnxserve_export.extra import extra_needed

from .after_export import serving_lines
from .console import console
from .progress import steps_bar

if TYPE_CHECKING:
    from onnxserve_export.export_state import ExportState
    from onnxserve_export.options import ExportOptions

Store = Annotated[Path, typer.Option(help="The model store, a folder, that gets the archive.")]
Draft = Annotated[
    bool, typer.Option("--draft", help="Make the fp32 graph alone, as quickly as possible, for a first try.")
]
Unproven = Annotated[
    bool,
    typer.Option("--unproven", help="Make an archive even if too few rows prove it; it carries the word `unproven`."),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Export a version that exists again: the new archive takes its place.")
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Refuse the network, and name what is not on this machine yet.")
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Read pickles and .pt2 files, which run whatever code they name: only what you made."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print the whole traceback of a failed step.")]


def show_traces() -> None:
    """Print the traceback of a step that fails, too."""
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("onnxserve_export.step").setLevel(logging.DEBUG)


def run_export(folder: Path, store: Path, options: ExportOptions) -> ExportState:
    """Export a model's folder, with the steps on standard error."""
    with extra_needed():
        from onnxserve_export.export import export_model
        from onnxserve_export.steps import STEPS
    with steps_bar(transient=True) as bar:
        task = bar.add_task("export", total=None)

        def say(line: str) -> None:
            if line.startswith("["):
                bar.update(task, description=line.replace("[", r"\["), completed=0, total=None)
            console.print(line, markup=False)

        def progress(what: str, completed: int, total: int) -> None:
            bar.update(task, description=what, completed=completed, total=total or None)

        return export_model(folder, store, STEPS, say, progress=progress, options=options)


def result_lines(work: ExportState, settings: Settings) -> list[str]:
    """Return lines about a new archive: its digest, why drift isn't watched, and the commands that serve and ask it."""
    from onnxserve.archive.evidence import why_no_profile

    reason, features = why_no_profile(work.evidence["summary"]), work.definition.features
    return [
        f"{work.archive}  sha256 {work.sha256}",
        *([f"drift won't be judged: {reason}"] if reason else []),
        *serving_lines(work.archive, settings, work.definition.folder / features.repo if features else None),
    ]


def server_stores_of(settings: Settings) -> tuple[Path, ...]:
    """Return the folder of the archives that a running server loaded; none if no server runs."""
    stores = stores_of(settings)
    return () if stores.server == stores.user else (stores.server,)
