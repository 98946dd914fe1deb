"""`onnxserve.import_`: from an artefact to the folder of a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onnxserve.definition.toml_literal import literal
from onnxserve_export.extra import extra_needed

from .definition_fields import Section, definition_fields

MODELS = "models"
Say = Callable[[str], None]


def import_(  # noqa: PLR0913 - all but the source are optional
    source: str | os.PathLike[str],
    name: str = "",
    *,
    rows: str | os.PathLike[str] = "",
    version: str = "",
    input: Section | None = None,  # noqa: A002 - the field's name
    output: Section | None = None,
    budget: float | None = None,
    quantise: Mapping[str, Any] | None = None,
    serve: Mapping[str, Any] | None = None,
    row: str | os.PathLike[str] | None = None,
    files: Iterable[str | os.PathLike[str]] = (),
    into: str | os.PathLike[str] = MODELS,
    trust: bool = False,
    offline: bool = False,
    say: Say | None = None,
) -> Path:
    """Describe a model that exists in a new folder `INTO/NAME`, and return that folder, which `export` takes.

    `source` is a path or a URL of a file or folder, a function `module:factory`, a package as `pypi://NAME@VERSION`, or
    an archive or repository of another server, as for the command `onnxserve import`. `name` is by default that of the
    file. `rows` is the path or URL of examples, and `row` a file with one that clients send, for an archive of
    TorchServe; `files` are paths of those that rows need and that aren't beside the model, such as `tokenizer.json`.
    `input`, `output`, `budget`, `quantise` and `serve` are as for `export`; what the model says itself may
    be left out. `trust` reads pickles and exported programs, which run whatever code they name; `offline` refuses the
    network; `say` gets a line for each thing that was noticed.

    DefinitionError lists everything that neither the model nor the arguments say, and is raised if the folder exists,
    unless it is as an earlier import wrote it, which this one replaces; SourceError if the model can't be fetched.
    Nothing stays of a folder that couldn't be written whole.
    """
    fields = definition_fields(
        name=name, version=version, input=input, output=output, budget=budget, quantise=quantise, serve=serve
    )
    example = None if row is None else Path(row)
    place, paths = os.fspath(rows), tuple(map(Path, files))
    return import_fields(
        os.fspath(source),
        fields,
        place,
        row=example,
        files=paths,
        into=Path(into),
        trust=trust,
        offline=offline,
        say=say,
    )


def import_fields(  # noqa: PLR0913 - all but three are optional
    source: str,
    fields: Mapping[str, Any],
    rows: str,
    *,
    row: Path | None = None,
    files: tuple[Path, ...] = (),
    into: Path = Path(MODELS),
    trust: bool = False,
    offline: bool = False,
    say: Say | None = None,
) -> Path:
    """Import with fields as a definition has them; errors are those of `import_`."""
    with extra_needed():
        from onnxserve_export.importing import ImportOptions, import_model
        from onnxserve_export.importing.answers import dotted_fields
    name = fields.get("name") or Path(urlsplit(source).path).stem
    settings = tuple(f"{field}={literal(value)}" for field, value in dotted_fields(fields) if field != "name")
    options = ImportOptions(rows=rows, fields=settings, row=row, files=files, trust=trust, offline=offline)
    return import_model(source, name, into, options, say or (lambda _: None)).folder
