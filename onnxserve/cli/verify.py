"""`onnxserve verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import check_archive

from .app import AsJson, app, out, show


@app.command()
def verify(archive: Annotated[Path, typer.Argument(help="A .mar file.")], *, as_json: AsJson = False) -> None:
    """Check an archive's digests and golden rows here. Example: onnxserve verify model_store/segment-1.0.0.mar."""
    checked = check_archive(archive)

    def human() -> None:
        out.print(
            f"{checked.name} {checked.version}: {checked.members} digests and {checked.golden_rows} golden rows hold"
        )
        out.print(f"sha256 {checked.sha256}")

    show(asdict(checked), human, as_json=as_json)
