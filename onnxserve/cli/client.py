"""`onnxserve client`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.codegen import ModelContract, archive_contract, python_client, server_contract, typescript_client
from onnxserve.disk import replace_file

from .gateway import config_of
from .groups import root
from .server import Ca, Config, GatewayFile, Key, State, Url, settings_from

ARCHIVE = ".mar"


class Language(StrEnum):
    """The languages that a client can be written in."""

    python = "python"
    typescript = "typescript"


WRITERS = {Language.python: python_client, Language.typescript: typescript_client}


def served_contract(url: str, model: str, key: str, ca: str) -> ModelContract:
    """Return what a running server says of a model."""
    from onnxserve.client.client import Client  # here for a quick start, as in `Address`

    with Client(url, key=key, ca=ca) as client:
        return server_contract(client.openapi(), model)


@root.command()
def client(  # noqa: PLR0913 - each is a flag
    model: Annotated[str, typer.Argument(help="The path of an archive, or the name of a model of the running server.")],
    language: Annotated[Language, typer.Option(help="The language of the client.")] = Language.python,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; default: standard output.")] = None,
    url: Url = "",
    key: Key = "",
    ca: Ca = "",
    gateway_file: GatewayFile = None,
    config: Config = None,
    state: State = None,
) -> None:
    """Write a typed client of one model: dataclasses of its rows and predictions, and functions that ask for them.

    Example: onnxserve client model_store/segment-1.0.0.mar > segment_client.py
    """
    path = Path(model)
    if path.suffix == ARCHIVE or path.is_file():
        contract = archive_contract(path)
    else:
        settings = settings_from(config=config, gateway_file=gateway_file, state=state)
        contract = served_contract(url or config_of(settings).url, model, key, ca)
    source = WRITERS[language](contract)
    if output is None:
        typer.echo(source, nl=False)
    else:
        replace_file(output, source.encode())
