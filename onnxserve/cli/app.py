"""The Typer application and its error boundary."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from onnxserve import __version__
from onnxserve.errors import OnnxserveError

app = typer.Typer(
    name="onnxserve",
    help="Serve proven ONNX archives of torch models with TorchServe.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for machines.")]


def show(document: object, human: Callable[[], None], *, as_json: bool) -> None:
    """Print for a person, or as one JSON document."""
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    else:
        human()


def _version(value: bool) -> None:  # noqa: FBT001 - Typer's callback takes the flag by position
    if value:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: FBT002 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the whole program."""


def main() -> None:
    """Run the program; an OnnxserveError, or what the machine refuses, is its message and exit code, nothing more."""
    from . import (  # noqa: F401 - they register verbs
        batch,
        capacity,
        convert,
        doctor,
        explain,
        export,
        features,
        gateway,
        keys,
        monitor,
        new,
        predict,
        pull,
        ready,
        release,
        resources,
        serve,
        sign,
        tune,
        verify,
    )

    try:
        app()
    except OnnxserveError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that is a file, one of another user
        where = f"\n  where: {error.filename}" if error.filename else ""
        console.print(f"{error.strerror or error}{where}", style="red", markup=False)
        sys.exit(1)
