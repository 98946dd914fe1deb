"""What commands that change a release share: arguments, the server, and how a change is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxserve.cli.console import show_lines
from onnxserve.cli.server import settings_from
from onnxserve.release import ReleaseService, release_of

Model = Annotated[str, typer.Argument(help="The model's name.")]
Version = Annotated[str, typer.Argument(help="The version, such as 1.1.0.")]
Plan = Annotated[bool, typer.Option("--plan", help="Print what would change and change nothing.")]


def server(
    config: Path | None, state: Path | None, management_port: int | None, store: Path | None = None
) -> ReleaseService:
    """Return the release steps on the server that the flags name."""
    return release_of(settings_from(config=config, store=store, state=state, management_port=management_port))


def show_changes(release: ReleaseService, changes: list[str], *, plan: bool = False, as_json: bool = False) -> None:
    """Print what changed, or would; HistoryNotWritten if the history has no line of it."""
    heading = ["would change:" if changes else "nothing would change"] if plan else []
    lines = [*heading, *(changes or ([] if plan else ["nothing changed"]))]
    show_lines({"planned": plan, "changes": changes}, *lines, as_json=as_json)
    release.history.check_written()
