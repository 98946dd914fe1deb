"""From an artefact to a model folder: find it, read what it says of itself, ask for the rest, write the definition."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnxserve.definition import Definition, read_definition
from onnxserve.errors import DefinitionError, OnnxserveError
from onnxserve.locations.location import is_function, is_prediction_log, is_remote
from onnxserve.scaffold.new import new_folder
from onnxserve_export.acceptance import least_rows
from onnxserve_export.plan import rows_in_all
from onnxserve_export.significance_levels import FIRST_LEVEL
from onnxserve_export.sources import SourceModel, open_source

from .answers import read_answers
from .artefact import Artefact, locate, relative_path
from .fitted import read_fitted
from .graph import read_graph
from .options import ImportOptions
from .outline import Outline
from .pretrained import read_pretrained
from .toml_text import toml_text
from .torchserve_archive import check_archive_options, import_archive, is_torchserve
from .triton import is_triton, open_triton, read_triton

FITTED = (".joblib", ".pkl", ".pickle", ".skops", ".ubj", ".json", ".txt")
GRAPHS = (".onnx", ".pt2", ".pt", ".pth", ".ts", ".torchscript")
FIRST_VERSION = "1.0.0"


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

    `source` is a path, a URL or a function, as `source` in model.toml takes it; or another server's archive.
    """
    folder = new_folder(models, name)
    answers = read_answers(options)
    artefact = locate(source, folder, offline=options.offline, say=say)
    if artefact.path is not None and is_torchserve(artefact.path):
        check_archive_options(options)
        import_archive(artefact.path, name, models, options.row, trust=options.trust)
        return Imported(folder, read_definition(folder))
    if options.row is not None:
        raise DefinitionError("--row is for archives of TorchServe", fix="give examples with --rows")
    outline = Outline(artefact.given, answers)
    outline.add("name", name, "")
    outline.add("version", FIRST_VERSION, "")
    reference = read_artefact(outline, artefact, folder, options)
    outline.add("source", reference, "")
    _locate_rows(outline, folder, options, say)
    outline.check()
    return Imported(folder, _write(outline, artefact, folder))


def read_artefact(outline: Outline, artefact: Artefact, folder: Path, options: ImportOptions) -> str:
    """Read what an artefact says of itself, by its form; return `source` of the definition."""
    path = artefact.path
    if path is None or is_function(artefact.reference):
        place = Path.cwd() if path is None else path.parent
        read_graph(outline, _built(artefact.reference, place, trust=options.trust), None)
        return artefact.reference
    if path.is_dir() and is_triton(path):
        model = open_triton(path)
        read_triton(outline, model)
        return _inside(artefact, model.file, folder)
    if path.is_dir() and not any((path / name).is_file() for name in ("config.json", "modules.json")):
        files = [entry for entry in sorted(path.iterdir()) if entry.suffix.lower() in (*GRAPHS, *FITTED)]
        graphs = [entry for entry in files if entry.suffix.lower() in GRAPHS]
        if len(graphs or files) != 1:
            names = ", ".join(entry.name for entry in files) or "none"
            what = f"the folder has no config.json, and its models are: {names}"
            raise DefinitionError(what, where=str(path), fix="name the file or the folder of one model")
        return read_file(outline, artefact, (graphs or files)[0], folder, options)
    if path.is_dir():
        read_pretrained(outline, path)
        return artefact.reference
    return read_file(outline, artefact, path, folder, options)


def _built(reference: str, place: Path, *, trust: bool) -> SourceModel:
    """Return what a function gives; DefinitionError if it raises."""
    try:
        return open_source(reference, place, {}, trust=trust)
    except OnnxserveError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        what = f"{reference} raises {type(error).__name__}: {first}"
        raise DefinitionError(what, where=str(place), fix="it must build the module without arguments") from error


def read_file(outline: Outline, artefact: Artefact, path: Path, folder: Path, options: ImportOptions) -> str:
    """Read what a model's file says of itself; return `source` of the definition."""
    reference = _inside(artefact, path, folder)
    if path.suffix.lower() in FITTED:
        read_fitted(outline, path, trust=options.trust)
    else:
        read_graph(outline, open_source(str(path), path.parent, {}, trust=options.trust), path.parent)
    return reference


def _inside(artefact: Artefact, path: Path, folder: Path) -> str:
    """Return how a definition names a file of an artefact; DefinitionError for a file of a folder from elsewhere."""
    if path == artefact.path:
        return artefact.reference
    if is_remote(artefact.reference):
        name = path.relative_to(artefact.path).as_posix() if artefact.path else path.name
        fix = f"name the file {name} by its URL, or download the folder first"
        what = "a pin is of the whole folder, and one file of it is the model"
        raise DefinitionError(what, where=artefact.given, fix=fix)
    return relative_path(path, folder)


def _locate_rows(outline: Outline, folder: Path, options: ImportOptions, say: Callable[[str], None]) -> None:
    """Replace the rows that the user names by how the definition names them, pinned if they are elsewhere."""
    rows = options.rows
    if rows and not (is_function(rows) or is_prediction_log(rows)):
        located = locate(rows, folder, offline=options.offline, say=say)
        outline.replace("rows", located.reference)


def _write(outline: Outline, artefact: Artefact, folder: Path) -> Definition:
    """Write the folder and read it back; nothing stays of one that can't be read."""
    folder.mkdir(parents=True)
    try:
        (folder / "model.toml").write_text(toml_text(outline, artefact.given), encoding="utf-8")
        if artefact.path is not None and artefact.path.suffix == ".py":
            shutil.copyfile(artefact.path, folder / artefact.path.name)
        return read_definition(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise


def wanted_rows(definition: Definition) -> int:
    """Return about how many rows certify a variant that changes no answer; 0 if no number does."""
    return rows_in_all(least_rows(definition, FIRST_LEVEL, labelled=True))
