"""The reader of `model.toml`: msgspec checks types, then all inconsistencies are reported at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from onnxserve.errors import DefinitionError, SourceError
from onnxserve.locations.filesystem import is_wild
from onnxserve.locations.location import is_function, is_prediction_log, is_remote, parse_location
from onnxserve_handlers.registry import KINDS, TASKS, input_kind
from onnxserve_handlers.registry import task as task_class

from .former import former_variants, with_present_fields
from .sections import Definition, Source

R = TypeVar("R", bound=msgspec.Struct)


def read_definition(folder: Path, changes: Mapping[str, Any] = MappingProxyType({})) -> Definition:
    """Return the definition in `folder/model.toml`; DefinitionError names field, reason and fix.

    `changes` are fields that take the place of the file's; those of a section leave its other fields as they are.
    """
    return make_definition(with_changes(_read_document(folder), changes), folder)


def with_changes(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with other fields; a section gets the fields of the change, and keeps its others."""
    result = dict(document)
    for name, value in changes.items():
        former = _as_section(name, result.get(name))
        merges = isinstance(former, Mapping) and isinstance(value, Mapping)
        result[name] = {**former, **value} if merges else value
    return result


def _as_section(name: str, value: Any) -> Any:
    """Return a field of the top as a section where it is short for one: `rows` is the place of the rows."""
    return {"location": value} if name == "rows" and isinstance(value, str) else value


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / "model.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # with a mark of Windows, or without
    except (FileNotFoundError, NotADirectoryError) as error:  # the place may be a file, such as a graph
        raise DefinitionError(
            "there is no model definition here",
            where=str(path),
            fix="onnxserve new text|image|audio|table|tensors NAME makes one",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"not valid TOML: {error}", where=str(path)) from error


def make_definition(fields: Mapping[str, Any], folder: Path, where: str = "") -> Definition:
    """Return the definition with the fields of a `model.toml`, whose other files lie in `folder`.

    DefinitionError names field, reason and fix, and as the place `where`, by default the `model.toml` of the folder.
    """
    path, document = where or str(folder / "model.toml"), dict(fields)
    if "folder" in document:
        raise DefinitionError("unknown field `folder`", where=path, fix="remove it")
    if former := former_variants(document):
        raise DefinitionError(
            f"the variant {former[0]} doesn't exist any more: `int8` has taken its place",
            where=f"{path}, quantise.variants",
            fix=f'write "int8" in place of {", ".join(former)}; without `variants`, int8 and fp32 compete',
        )
    if "rows" in document:
        document["rows"] = _as_section("rows", document["rows"])
    try:
        definition = _convert(with_present_fields(document, folder), folder)
    except msgspec.ValidationError as error:
        raise DefinitionError(str(error), where=path, fix="compare with models/segment/model.toml") from error
    if faults := list(_faults(definition)):
        raise DefinitionError("; ".join(faults), where=path)
    return definition


def _convert(document: dict[str, Any], folder: Path) -> Definition:
    """Return the record; the kind and the task decide which fields `input` and `output` have."""
    rows, predictions = document.pop("input"), document.pop("output")
    kind, task = choice(rows, "kind", KINDS), choice(predictions, "task", TASKS)
    definition = msgspec.convert(document | {"folder": str(folder.resolve())}, Definition, dec_hook=_path)
    return msgspec.structs.replace(
        definition,
        input=section(rows, "input", input_kind(kind).input_options),
        output=section(predictions, "output", task_class(task).output_options),
    )


def choice(table: object, field: str, names: Sequence[str]) -> str:
    """Return the name of a kind or a task; msgspec.ValidationError for an unknown one."""
    name = table.get(field, "") if isinstance(table, dict) else ""
    if name and name not in names:
        raise msgspec.ValidationError(f"{field} = {name!r} is unknown: choose {', '.join(names)}")
    return str(name)


def section(table: object, name: str, record: type[R]) -> R:
    """Return the record of a section; msgspec.ValidationError with the section's name in the place."""
    try:
        return msgspec.convert(table, record)
    except msgspec.ValidationError as error:
        text, place, rest = str(error).partition("`$")
        raise msgspec.ValidationError(f"{text}`$.{name}{rest}" if place else f"{text} - at `$.{name}`") from error


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value


def _faults(definition: Definition) -> list[str]:
    faults = []
    named = {field: getattr(definition, field) for field in ("handler", "assets")}
    for field, value in (named | {"quantise.metric": definition.quantise.metric}).items():
        if value and value.count(":") != 1:
            faults.append(f"{field} = {value!r} must be `file.py:name` or `module:name`")
        elif is_code_missing(definition.folder, value.partition(":")[0]):
            faults.append(f"{field} = {value!r}: there is no such file in {definition.folder}")
    faults += _reference_faults("source", definition.source, definition.folder)
    if definition.rows.location:
        faults += _reference_faults("rows", definition.rows.location, definition.folder)
    if not (definition.handler or (definition.input.kind and definition.output.task)):
        faults.append("input.kind says what rows are and output.task what predictions are")
    if len(set(definition.labels)) != len(definition.labels):
        faults.append("labels must differ from each other")
    if len(set(definition.quantise.variants)) != len(definition.quantise.variants):
        faults.append("quantise.variants must differ from each other")
    if not definition.quantise.metric_range[0] < definition.quantise.metric_range[1]:
        faults.append("quantise.metric_range must be [lowest, highest]")
    names = [source.name for source in definition.sources]
    if len(set(names)) != len(names):
        faults.append("sources need different names")
    faults += [fault for source in definition.sources for fault in _source_faults(source)]
    return [*faults, *_feature_faults(definition)]


def is_code_missing(folder: Path, file: str) -> bool:
    """Return whether a file of code doesn't lie in the model's folder; False for the name of a module."""
    path = PurePosixPath(file)
    is_elsewhere = path.is_absolute() or ".." in path.parts
    return file.endswith(".py") and (is_elsewhere or not (folder / path).is_file())


def _reference_faults(field: str, text: str, folder: Path) -> list[str]:
    """Return what is wrong with a function or a location."""
    if is_function(text):
        file = text.partition(":")[0]
        return [f"{field} = {text!r}: there is no such file in {folder}"] if is_code_missing(folder, file) else []
    if is_prediction_log(text):
        return []
    if not is_remote(text) and not is_wild(text) and not (folder / text).exists():
        return [f"{field} = {text!r} is neither a file in {folder} nor `file.py:name` or `module:name`"]
    return _location_faults(field, text)


def _source_faults(source: Source) -> list[str]:
    name = f"source {source.name}"
    of_package = {field: getattr(source, field) for field in ("package", "version", "file")}
    package_fields = [field for field, value in of_package.items() if value]
    if source.location:
        faults = (
            [f"{name} has a location, and {' and '.join(package_fields)} of a package: remove one"]
            if package_fields
            else []
        )
        return [*faults, *_location_faults(name, source.location, source.sha256)]
    missing = [field for field, value in (of_package | {"sha256": source.sha256}).items() if not value]
    return [f"{name} lacks {', '.join(missing)}, or a location"] if missing else []


def _location_faults(field: str, text: str, sha256: str = "") -> list[str]:
    try:
        location = parse_location(text, sha256)
    except SourceError as error:
        return [f"{field}: {error.what}" + (f" ({error.fix})" if error.fix else "")]
    if secret := location.credentials:
        fix = f"remove {', '.join(secret)}: what was fetched is found by its pin, or import the address again"
        return [f"{field} holds credentials, which a definition must not ({fix})"]
    return [] if location.url else [f"{field} names no path"]


def _feature_faults(definition: Definition) -> list[str]:
    spec, columns = definition.features, definition.input.column_names
    if spec is None:
        return []
    faults = [] if columns else ["features need input.kind = 'table'"]
    if not (definition.folder / spec.repo / "feature_store.yaml").is_file():
        faults.append(f"features.repo = {spec.repo!r}: there is no feature_store.yaml in that folder")
    if unknown := sorted(set(spec.columns) - set(columns)):
        faults.append(f"features.columns {unknown} are not among input.columns")
    if clash := sorted({*spec.entities, spec.timestamp} & set(columns)):
        faults.append(f"features: {clash} can't be keys and columns")
    lacking = sorted(set(spec.columns) - set(spec.defaults))
    if "default" in (spec.missing, spec.unavailable) and lacking:
        faults.append(f"features.defaults lacks {lacking}")
    return faults
