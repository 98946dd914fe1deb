"""From an artefact to a model folder: find it, read what it says of itself, ask for the rest, write the definition."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError
from onnxserve.locations.location import is_function, is_prediction_log, is_remote
from onnxserve_export.acceptance import Basis, least_rows
from onnxserve_export.assets import folders_of
from onnxserve_export.faults import FaultList
from onnxserve_export.plan import rows_in_all
from onnxserve_export.replacement import check_free
from onnxserve_export.significance_levels import FIRST_LEVEL
from onnxserve_export.sources import SourceModel, open_source
from onnxserve_export.sources.model_folder import description_of, model_in
from onnxserve_export.sources.trees import TreeSource
from onnxserve_export.sources.triton_repository import is_triton, open_triton
from onnxserve_export.sources.untrusted import UntrustedFile
from onnxserve_handlers.registry import input_kind

from .answers import read_answers
from .artefact import Artefact, locate, relative_path
from .code_files import call_source, check_size, imported_files, names_in
from .fitted import read_fitted
from .fitted_gaps import read_gaps
from .graph import read_graph
from .imported_folder import check_folder, write_folder
from .kind_files import ask_files, read_files, read_kind
from .options import ImportOptions
from .outline import Fact, Outline, read_implied
from .row_trial import read_rows
from .rows_columns import check_columns
from .toml_text import toml_text
from .torchserve_archive import is_torchserve, read_archive
from .triton import describes_inputs, read_triton

FIRST_VERSION = "1.0.0"
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
ROW_FORMS = (
    "--rows takes the path or URL of a Parquet, Arrow, CSV or JSON-lines file, of a folder of images or sounds, or a "
    "function, as rows.py:rows"
)
Files = Mapping[str, bytes | Path]  # of the model's folder by name: their content, or where it is


@dataclass(frozen=True)
class Imported:
    """A written model folder, and its definition."""

    folder: Path
    definition: Definition

    @property
    def has_rows(self) -> bool:
        """Whether there are examples to prove the model with."""
        return bool(self.definition.rows.location)


def import_model(
    source: str, name: str, models: Path, options: ImportOptions, say: Callable[[str], None] = lambda _: None
) -> Imported:
    """Write `models/NAME` for an artefact; OnnxserveError lists all that it doesn't say, and the options that do.

    `source` is a path, a URL or a function, as `source` in model.toml takes it; or another server's archive. Before the
    artefact is read, all that is wrong with the name, the options and the places is said at once.
    """
    faults, folder = FaultList(), models / name
    answers = read_answers(options, faults)
    given = read_files(options.files, faults)
    faults.attempt(lambda: check_folder(models, name, options, answers))
    if version := expected_version(source, answers):
        faults.attempt(lambda: check_free(name, version, options.stores, "--version {}"))
    if is_remote(options.rows):
        faults.check()  # neither rows nor a model are fetched for an import that fails
    rows = faults.attempt(lambda: locate_rows(options, source, folder, say)) or LocatedRows()
    if is_remote(source):
        faults.check()
    artefact = faults.require(lambda: locate(source, folder, offline=options.offline, say=say))
    outline = Outline(artefact.given, answers, files=given)
    outline.add("name", name, "")
    if rows.reference:
        outline.replace("rows.location", rows.reference)
    read_kind(outline)
    files: Files = {}
    place: Path | None = None
    hidden: Collection[str] = ()
    if artefact.path is not None and is_torchserve(artefact.path):
        files = read_archive(outline, artefact.path, options, faults)
    elif options.row is not None:
        raise DefinitionError("--row is for archives of TorchServe", fix="give examples with --rows")
    else:
        outline.add("version", FIRST_VERSION, "")
        try:
            reference, files, place = read_artefact(outline, artefact, folder, options, rows.path)
            outline.add("source", reference, "")
        except UntrustedFile as error:  # what it never states is asked for with the trust
            faults.add(error)
            read_implied(outline)
            place, hidden = artefact.path, error.hidden
    files = _together(_together(files, rows.files), _files_of_kind(outline, artefact))
    ask_files(outline, files, folders_of(place))
    if place_of_rows := rows.path:
        faults.attempt(lambda: check_columns(outline, place_of_rows, say))
    outline.check(faults, hidden)
    files = {**files, **given}
    check_size(files)
    if copied := sorted(name for name, content in files.items() if isinstance(content, Path)):
        say(f"      copied, since functions read or name them: {', '.join(copied)}")
    return Imported(folder, write_folder(folder, toml_text(outline, artefact.given), files, say))


def expected_version(source: str, answers: Mapping[str, Fact]) -> str:
    """Return the version that an import gives a model; empty where the artefact decides it, or where it is none."""
    if "version" in answers:
        version = str(answers["version"].value)
        return version if VERSION.fullmatch(version) else ""
    return "" if is_torchserve(Path(source)) else FIRST_VERSION


class ReadArtefact(NamedTuple):
    """What was read of an artefact, beside its outline.

    `reference` is `source` of the definition; `files` are those of the model's folder; `path` is the file or folder
    that an export opens, None where it calls a function.
    """

    reference: str
    files: Files
    path: Path | None


def read_artefact(
    outline: Outline, artefact: Artefact, folder: Path, options: ImportOptions, rows: Path | None
) -> ReadArtefact:
    """Read what an artefact says of itself, by its form; `rows` is the file or folder of examples, None without."""
    path = artefact.path
    if path is None or is_function(artefact.reference):
        source, files = call_source(artefact, trust=options.trust)
        read_source(outline, source, None, rows)
        return ReadArtefact(artefact.reference, files, None)
    if path.is_dir() and is_triton(path):
        model = open_triton(path)
        read_triton(outline, model)
        if not describes_inputs(model):
            read_graph(outline, open_source(str(model.file), path, {}, trust=options.trust), None)
        elif not outline.get("serve.batch_size"):
            read_rows(outline, open_source(str(model.file), path, {}, trust=options.trust))
        return _inside(artefact, model.file, folder)
    file = model_in(path) if path.is_dir() else path
    if file.is_dir():
        from onnxserve_export.sources.pretrained import check_weights

        from .pretrained import read_pretrained  # both import torch, which no other artefact needs

        read_pretrained(outline, file)
        check_weights(file, trust=options.trust)
        return ReadArtefact(artefact.reference, {}, path)
    source = open_source(str(file), file.parent, {}, trust=options.trust)
    if not read_description(outline, source, description_of(file)):
        read_source(outline, source, file.parent, rows)
    return _inside(artefact, file, folder)


def read_source(outline: Outline, source: SourceModel, folder: Path | None, rows: Path | None) -> None:
    """Read what an opened model says of itself; `folder` is that of its file."""
    if isinstance(source, TreeSource):
        read_fitted(outline, source)
        read_gaps(outline, source, rows)
    else:
        read_graph(outline, source, folder)


def read_description(outline: Outline, source: SourceModel, folder: Path | None) -> bool:
    """Read what a folder of transformers says of the graph in it, and return whether it says anything."""
    if folder is None:
        return False
    from .pretrained_graph import read_pretrained_graph  # it imports torch, which other graphs don't need

    return read_pretrained_graph(outline, source, folder)


def _inside(artefact: Artefact, path: Path, folder: Path) -> ReadArtefact:
    """Return an artefact's only file: a pin is of a whole folder, in which an export finds it."""
    if path == artefact.path or is_remote(artefact.reference):
        return ReadArtefact(artefact.reference, {}, artefact.path)
    return ReadArtefact(relative_path(path, folder), {}, path)


class LocatedRows(NamedTuple):
    """Where examples are.

    `reference` is how the definition names them, empty for none; `path` is the file or folder, None for a function or
    none at all; `files` are those of a function by name.
    """

    reference: str = ""
    path: Path | None = None
    files: Files = MappingProxyType({})


def locate_rows(options: ImportOptions, source: str, folder: Path, say: Callable[[str], None]) -> LocatedRows:
    """Find or fetch the rows that the user names; rows that are elsewhere are pinned.

    A function's files are those of the model's folder by their names. Its own file may lie beside that of `source`.
    """
    rows = options.rows
    if not rows or is_prediction_log(rows):
        return LocatedRows(rows)
    beside = Path(source.partition(":")[0]).parent / rows
    if is_function(source) and is_function(rows) and not is_code(rows) and is_code(str(beside)):
        rows = str(beside)
    artefact = locate(rows, folder, offline=options.offline, say=say, forms=ROW_FORMS)
    if not is_function(artefact.reference) or artefact.path is None:
        return LocatedRows(artefact.reference, artefact.path)
    return LocatedRows(artefact.reference, files=names_in(artefact.path.parent, imported_files(artefact.path)))


def is_code(reference: str) -> bool:
    """Return whether a function's file is there."""
    return Path(reference.partition(":")[0]).is_file()


def _files_of_kind(outline: Outline, artefact: Artefact) -> Files:
    """Return the files that the input kind reads, such as a tokenizer's, from beside a function's file."""
    if artefact.path is None or artefact.path.suffix != ".py":
        return {}
    place = artefact.path.parent
    return names_in(place, (place / name for name in input_kind(outline.get("input.kind", "")).files))


def _together(files: Files, more: Files) -> Files:
    """Return the files of both; DefinitionError if they have different ones of one name."""
    if clash := sorted(name for name in files.keys() & more.keys() if files[name] != more[name]):
        what = f"the model and its rows need different files of the name {clash[0]}"
        raise DefinitionError(what, where="--rows", fix="rename one, or keep both functions in one folder")
    return {**more, **files}


def wanted_rows(definition: Definition) -> int:
    """Return about how many rows certify a variant that changes no answer; 0 if no number does."""
    return rows_in_all(least_rows(definition, FIRST_LEVEL, Basis()))
