"""The reader of `model.toml`: msgspec checks types, then all inconsistencies are reported at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from onnxserve.errors import DefinitionError

from .sections import Definition


def read_definition(folder: Path) -> Definition:
    """Return the definition in `folder/model.toml`; DefinitionError names field, reason and fix."""
    path = folder / "model.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DefinitionError(
            "there is no model definition here", where=str(path), fix="onnxserve new text|image|tabular NAME makes one"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"not valid TOML: {error}", where=str(path)) from error
    if "folder" in document:
        raise DefinitionError("unknown field `folder`", where=str(path), fix="remove it")
    try:
        definition = msgspec.convert(document | {"folder": str(folder.resolve())}, Definition, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise DefinitionError(str(error), where=str(path), fix="compare with models/segment/model.toml") from error
    if faults := list(_faults(definition)):
        raise DefinitionError("; ".join(faults), where=str(path))
    return definition


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value


def _faults(definition: Definition) -> list[str]:
    faults = []
    named = {field: getattr(definition, field) for field in ("handler", "rows", "assets")}
    for field, value in (named | {"quantise.metric": definition.quantise.metric}).items():
        if value and value.count(":") != 1:
            faults.append(f"{field} = {value!r} must be `file.py:name` or `module:name`")
        elif value.partition(":")[0].endswith(".py") and not (definition.folder / value.partition(":")[0]).is_file():
            faults.append(f"{field} = {value!r}: there is no such file in {definition.folder}")
    faults += _source_faults(definition)
    if len(set(definition.labels)) != len(definition.labels):
        faults.append("labels must differ from each other")
    if len(set(definition.quantise.variants)) != len(definition.quantise.variants):
        faults.append("quantise.variants must differ from each other")
    if not definition.quantise.metric_range[0] < definition.quantise.metric_range[1]:
        faults.append("quantise.metric_range must be [lowest, highest]")
    names = [source.name for source in definition.sources]
    if len(set(names)) != len(names):
        faults.append("sources need different names")
    return [*faults, *_feature_faults(definition)]


def _source_faults(definition: Definition) -> list[str]:
    """A source is a function, or a file of the folder."""
    source, folder = definition.loader, definition.folder
    file, mark, name = source.rpartition(":")
    if not (mark and name.isidentifier()):
        exists = (folder / source).is_file()
        return [] if exists else [f"loader = {source!r} is no file in {folder}, and no `file.py:name` or `module:name`"]
    if file.endswith(".py") and not (folder / file).is_file():
        return [f"loader = {source!r}: there is no such file in {folder}"]
    return []


def _feature_faults(definition: Definition) -> list[str]:
    spec, columns = definition.features, definition.input.columns
    if spec is None:
        return []
    faults = []
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
