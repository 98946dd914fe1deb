"""`onnxserve new`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from onnxserve.scaffold import new_model

from .console import AsJson, show_lines
from .groups import root

GOLDEN = "golden.jsonl"


@root.command()
def new(
    kind: Annotated[str, typer.Argument(help="The kind of input: text, image, audio, table or tensors.")],
    name: Annotated[str, typer.Argument(help="The name of the new model.")],
    models: Annotated[Path, typer.Option(help="The folder that gets the new model's folder.")] = Path("models"),
    task: Annotated[
        str,
        typer.Option(
            help="Task: classification, multilabel, regression, embedding or raw; for text also tokens and rerank, for "
            "image detection and segmentation. By default the kind's first."
        ),
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Make a working model folder to start from.

    Example: onnxserve new text my-model --task embedding
    """
    folder = new_model(kind, name, models, task)
    golden = ", and golden.jsonl" if (folder / GOLDEN).exists() else ""
    show_lines(
        {"folder": str(folder)},
        f"{folder}: change rows() and load() in model.py, {'' if golden else 'and '}model.toml{golden}",
        f"then: onnxserve export {quote(str(folder))}",
        as_json=as_json,
    )
