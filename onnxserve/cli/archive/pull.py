"""`onnxserve archive pull`."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxserve.archive.pull import pull as fetch
from onnxserve.cli import groups
from onnxserve.cli.console import AsJson, console, show_lines
from onnxserve.cli.server import Config, Store, settings_from

Sources = Annotated[
    list[str],
    typer.Argument(help="Archives as URL@sha256:DIGEST; the URL is s3://…, gs://…, https://…, oci://… or a path."),
]
MARK = "@sha256:"


@groups.archive.command()
def pull(sources: Sources, store: Store = None, config: Config = None, *, as_json: AsJson = False) -> None:
    """Fetch archives into the store, if their digests match.

    Credentials are the file system's own, such as AWS_ACCESS_KEY_ID or a service account.

    Example: onnxserve archive pull s3://models/a-1.0.0.mar@sha256:0f…
    """
    folder = settings_from(store=store, config=config).store
    paths: list[str] = []
    for source in sources:
        url, mark, digest = source.rpartition(MARK)
        with console.status(f"fetching {url or source}"):
            paths.append(str(fetch(url if mark else source, digest if mark else "", folder)))
    show_lines(paths, *paths, as_json=as_json)
