"""`onnxserve new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxserve.scaffold import new_model

from .app import app, out


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="text, image or tabular.")],
    name: Annotated[str, typer.Argument(help="The model's name.")],
    models: Annotated[Path, typer.Option(help="Where the folder goes.")] = Path("models"),
) -> None:
    """Make a working model folder to start from. Example: onnxserve new text my-model."""
    folder = new_model(kind, name, models)
    out.print(f"{folder}: change rows() and load() in model.py, the labels in model.toml, and golden.jsonl")
    out.print(f"then: onnxserve export {folder}")
