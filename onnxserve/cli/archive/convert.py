"""`onnxserve archive convert`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, show_lines


class Server(StrEnum):
    """Servers that an archive can go to."""

    asgi = "asgi"
    triton = "triton"


START = {
    Server.asgi: "cd {output} && uvicorn server:app",
    Server.triton: "tritonserver --model-repository {output}",
}


@groups.archive.command()
def convert(
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file.")],
    to: Annotated[
        Server, typer.Option(help="The target: asgi is one Python file, triton is a Triton model repository.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Convert an archive for another server.

    Example: onnxserve archive convert model_store/segment-1.0.0.mar --to asgi -o out
    """
    from onnxserve.convert import to_asgi, to_triton  # it imports numpy, which most commands do without

    convert_to = {Server.asgi: to_asgi, Server.triton: to_triton}[to]
    with console.status("checking the archive"):
        paths = [str(path) for path in convert_to(archive, output)]
    show_lines(paths, *paths, f"then: {START[to].format(output=quote(str(output)))}", as_json=as_json)
