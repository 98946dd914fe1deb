"""`onnxserve export`."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.errors import OnnxserveError
from onnxserve.places import module

from .app import AsJson, app, console, out, show

NEEDED = {"torch", "onnx", "onnxscript", "jinja2", "safetensors"}


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A folder with a model.toml.")],
    store: Annotated[Path, typer.Option(help="Where the archive goes.")] = Path("model_store"),
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the whole trace of a failed step.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a torch model to a proven archive. Example: onnxserve export models/segment."""
    if verbose:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger(f"{module('export')}.step").setLevel(logging.DEBUG)
    try:
        steps = import_module(f"{module('export')}.__main__").STEPS
        export_model = import_module(f"{module('export')}.export").export_model
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        raise OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[export]'") from error
    with console.status("export") as status:

        def say(line: str) -> None:
            if line.startswith("["):
                status.update(line.replace("[", r"\["))
            console.print(line, markup=False)

        work = export_model(folder, store, steps, say)
    document = {"archive": str(work.archive), "sha256": work.sha256, **work.evidence["summary"]}
    show(document, lambda: out.print(f"{work.archive}  sha256 {work.sha256}", markup=False), as_json=as_json)
