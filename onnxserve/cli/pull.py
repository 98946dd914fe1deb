"""`onnxserve pull`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive.pull import pull as pulled

from .app import AsJson, app, out, show
from .server import Config, Store, settings_from

Named = Annotated[list[str], typer.Argument(help="URL@sha256:DIGEST of an archive: s3://, gs://, https://, or a path.")]
MARK = "@sha256:"


@app.command()
def pull(sources: Named, store: Store = None, config: Config = None, *, as_json: AsJson = False) -> None:
    """Fetch archives into the store, if their digests match. Example: onnxserve pull s3://m/a-1.0.0.mar@sha256:0f….

    Credentials are the file system's own, such as AWS_ACCESS_KEY_ID or a service account.
    """
    where = settings_from(store=store, config=config).store
    found: list[Path] = []
    for source in sources:
        url, mark, digest = source.rpartition(MARK)
        found.append(pulled(url if mark else source, digest if mark else "", where))

    def human() -> None:
        for path in found:
            out.print(str(path), markup=False)

    show([str(path) for path in found], human, as_json=as_json)
