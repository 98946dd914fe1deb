"""The definition of a model that a Python program holds: what it says of itself, and what the program says of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxserve.definition import Definition, make_definition
from onnxserve.errors import DefinitionError
from onnxserve_export.sources import SourceModel
from onnxserve_export.sources.opening import open_object
from onnxserve_handlers.registry import KINDS, TASKS

from .answers import dotted_fields
from .kind_files import missing_files
from .model_import import FIRST_VERSION, read_source
from .outline import Fact, Outline

CHOICES = {"input.kind": KINDS, "output.task": TASKS}


def define_object(model: Any, fields: Mapping[str, Any], folder: Path) -> tuple[Definition, SourceModel]:
    """Return the definition of a model, and the model opened; `folder` has the files that the definition names.

    `fields` are those of a model.toml. DefinitionError lists everything that neither they nor the model say.
    """
    reference = f"memory:{type(model).__name__}"
    source = open_object(own_copy(model), reference, fields.get("source_outputs", ()))
    answers = {field: Fact(value, "") for field, value in dotted_fields(fields)}
    outline = Outline(reference, answers, argument_of)
    outline.add("name", type(model).__name__.lower(), "")
    outline.add("version", FIRST_VERSION, "")
    outline.add("source", reference, "")
    read_source(outline, source, folder, None)
    for name in missing_files(outline, {}, [folder]):
        outline.ask(name, f"rows of kind {outline.get('input.kind')} need this file", f'files={{"{name}": "PATH"}}')
    outline.check()
    return make_definition(outline.document(), folder, where=reference), source


def own_copy(model: Any) -> Any:
    """Return a copy of a torch module, whose mode and device an export changes; any other model as it is."""
    if not hasattr(model, "requires_grad_"):
        return model
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise DefinitionError(
            f"the module can't be copied: {type(error).__name__}: {error}",
            where=type(model).__name__,
            fix="detach tensors that it keeps from a training step, or export it from a model folder",
        ) from error


def argument_of(field: str) -> str:
    """Return the argument of `onnxserve.export` that gives a field, such as `input={"limits": {"time": ...}}`."""
    section, *names = field.split(".")
    value = "..."
    for name in reversed(names):
        value = f'{{"{name}": {value}}}'
    choices = CHOICES.get(field)
    return f"{section}={value}" + (f", one of {', '.join(choices)}" if choices else "")
