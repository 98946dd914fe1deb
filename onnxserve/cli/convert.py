"""`onnxserve convert`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.convert import to_asgi, to_triton

from .app import AsJson, app, out, show


class Server(StrEnum):
    """Servers that an archive can go to."""

    asgi = "asgi"
    triton = "triton"


HOW = {
    Server.asgi: "cd {output} && uvicorn server:app",
    Server.triton: "tritonserver --model-repository {output}",
}
WAYS = {Server.asgi: to_asgi, Server.triton: to_triton}


@app.command()
def convert(
    archive: Annotated[Path, typer.Argument(help="A .mar file.")],
    to: Annotated[Server, typer.Option(help="asgi: one Python file; triton: a model repository.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Serve an archive elsewhere. Example: onnxserve convert model_store/segment-1.0.0.mar --to asgi -o out."""
    found = WAYS[to](archive, output)

    def human() -> None:
        for path in found:
            out.print(str(path), markup=False)
        out.print(f"then: {HOW[to].format(output=output)}", markup=False)

    show([str(path) for path in found], human, as_json=as_json)
