"""`onnxserve.export`: from a model to a proven archive."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from onnxserve.definition import Definition, read_definition
from onnxserve.errors import DefinitionError
from onnxserve.scratch import Scratch
from onnxserve_export.extra import extra_needed
from onnxserve_export.in_memory import ROWS, InMemory
from onnxserve_export.options import ExportOptions
from onnxserve_export.seeding import generators_kept

from .archive import Archive
from .definition_fields import Section, definition_fields, rows_place
from .importing import Say, import_fields

File = str | bytes | os.PathLike[str]


class Choices(TypedDict, total=False):
    """What an export may do beyond its definition; each is False or None by default.

    `draft` makes the fp32 graph alone, as quickly as possible. `unproven` allows an archive that too few rows prove.
    `replace` lets other content take the place of a version that exists. `offline` refuses the network. `trust` reads
    pickles and exported programs, which run whatever code they name. `all_variants` lets every variant compete.
    `search_minutes` limits the search for the variant `mixed` [minutes].
    """

    draft: bool
    unproven: bool
    replace: bool
    offline: bool
    trust: bool
    all_variants: bool
    search_minutes: float | None


def export(  # noqa: PLR0913 - all but the model are optional
    model: Any,
    rows: Iterable[Any] | str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    version: str = "",
    input: Section | None = None,  # noqa: A002 - the field's name
    output: Section | None = None,
    budget: float | None = None,
    quantise: Mapping[str, Any] | None = None,
    serve: Mapping[str, Any] | None = None,
    files: Mapping[str, File] | None = None,
    store: str | os.PathLike[str] = "model_store",
    say: Say | None = None,
    **choices: Unpack[Choices],
) -> Archive:
    """Export a model to an archive in the folder `store`, and prove it.

    `model` is a torch module, an exported program, a TorchScript or ONNX model, or a fitted model of scikit-learn,
    XGBoost or LightGBM, which stays as it is; or the folder of a model, which has a `model.toml`; or what `onnxserve
    import` takes, which then gets the folder `models/NAME`.

    `rows` are pairs (input, label), as many as prove the budget. An input has the form that a client would send, or is
    numpy's; the label is None where there is none. A path or URL names a file of rows. Default: those of `model.toml`.

    `input` and `output` are the sections of `model.toml`, or a kind or a task alone: `input={"kind": "table",
    "columns": ["x", "y"]}`, `output={"task": "classification", "labels": ["no", "yes"]}`. What the model says itself
    may be left out. `budget` is the largest loss of score against the model [share], 0.01 by default. `quantise` and
    `serve` are sections too. Fields that are given take the place of those of a `model.toml`. `files` are the contents
    or paths of files that lie beside it, such as `tokenizer.json`; `say` gets a line for each step.

    DefinitionError names each field that is missing or wrong; CheckFailed says what was measured and allowed where the
    model, or the rows, prove no variant; StepFailed says which step broke otherwise; ArchiveError before any work if
    the store has an archive of this name and version, unless `replace` is set; OnnxserveError where a package is
    missing. In each case the store keeps the archives that it has.
    """
    fields = definition_fields(
        name=name, version=version, input=input, output=output, budget=budget, quantise=quantise, serve=serve
    )
    job = _Job(fields, rows, Path(store), ExportOptions(**choices), say or _silent)
    with extra_needed(), generators_kept():
        return job.of_folder(model, files) if isinstance(model, str | os.PathLike) else job.of_object(model, files)


def write_file(folder: Path, name: str, content: File) -> None:
    """Write a file of a definition; DefinitionError if it would lie elsewhere, or can't be read."""
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        what = f"{name!r} doesn't lie beside the definition"
        raise DefinitionError(what, where="files", fix='name it without ".." and from no root')
    try:
        text = content if isinstance(content, bytes) else Path(content).read_bytes()
    except OSError as error:
        what = f"the file for {name} can't be read: {error.strerror}"
        raise DefinitionError(
            what, where=str(error.filename), fix="give an existing path, or the content as bytes"
        ) from error
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text)


def _silent(_line: str) -> None:
    """Print nothing."""


@dataclass(frozen=True)
class _Job:
    """An export: the fields that were given, the rows or their place, the store, and the options."""

    fields: dict[str, Any]
    rows: Iterable[Any] | str | os.PathLike[str] | None
    store: Path
    options: ExportOptions
    say: Say

    def of_folder(self, model: str | os.PathLike[str], files: Mapping[str, File] | None) -> Archive:
        """Export a model's folder, or import the model into one before; DefinitionError for `files`."""
        if files:
            what = "files are given beside a model in memory only"
            raise DefinitionError(what, where="files", fix=f"put them into the model's folder: {', '.join(files)}")
        if (Path(model) / "model.toml").is_file():
            definition = read_definition(Path(model), self.fields | self._rows_field)
        else:
            definition = self._imported(os.fspath(model))
        return self._run(definition, InMemory(rows=self._rows_in_memory))

    def of_object(self, model: Any, files: Mapping[str, File] | None) -> Archive:
        """Export a model that is in memory; its definition lies nowhere."""
        from onnxserve_export.importing.python_object import define_object

        with Scratch() as scratch:
            for name, content in (files or {}).items():
                write_file(scratch, name, content)
            definition, source = define_object(model, self.fields | self._rows_field, scratch)
            return self._run(definition, InMemory(source, self._rows_in_memory))

    def _imported(self, source: str) -> Definition:
        """Import a model with the place of the rows, which the import pins; rows in memory are of this export alone."""
        place = os.fspath(self.rows) if isinstance(self.rows, str | os.PathLike) else ""
        trust, offline = self.options.trust, self.options.offline
        folder = import_fields(source, self.fields, place, trust=trust, offline=offline, say=self.say)
        return read_definition(folder, {} if place else self._rows_field)

    @property
    def _rows_in_memory(self) -> Iterable[Any] | None:
        return None if isinstance(self.rows, str | os.PathLike) else self.rows

    @property
    def _rows_field(self) -> dict[str, Any]:
        if self.rows is None:
            return {}
        place = rows_place(self.rows) if isinstance(self.rows, str | os.PathLike) else ROWS
        return {"rows": {"location": place}}

    def _run(self, definition: Definition, memory: InMemory) -> Archive:
        from onnxserve_export.export import export_definition
        from onnxserve_export.steps import STEPS

        state = export_definition(definition, self.store, STEPS, self.say, options=self.options, memory=memory)
        return Archive(state.archive)
