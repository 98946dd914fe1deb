"""Every input kind and task by name. A new one is a file of its own and a line here.

Only the module of the requested kind is imported, since some need heavy libraries.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import msgspec

from .inputs import InputHooks
from .signature import InputOptions, OutputOptions, Signature
from .tasks import TaskHooks

KINDS = ("text", "image", "audio", "table", "tensors")
TASKS = (
    "classification",
    "multilabel",
    "regression",
    "embedding",
    "tokens",
    "rerank",
    "detection",
    "segmentation",
    "raw",
)


def input_kind(name: str, *, features: bool = False) -> type[InputHooks]:  # noqa: PLR0911 - one a kind
    """Return the class of an input kind; that of an empty name has no rows. KeyError for an unknown one.

    `features` is for tables that a feature store completes.
    """
    match name:
        case "":
            return InputHooks
        case "text":
            from .inputs.text import TextInput

            return TextInput
        case "image":
            from .inputs.image import ImageInput

            return ImageInput
        case "audio":
            from .inputs.audio import AudioInput

            return AudioInput
        case "table" if features:
            from .features.handler import JoinedTable

            return JoinedTable
        case "table":
            from .inputs.table import TableInput

            return TableInput
        case "tensors":
            from .inputs.tensors import TensorsInput

            return TensorsInput
        case _:
            raise KeyError(name)


def task(name: str) -> type[TaskHooks]:  # noqa: C901, PLR0911 - one for each task
    """Return the class of a task; that of an empty name makes no predictions. KeyError for an unknown one."""
    match name:
        case "":
            return TaskHooks
        case "classification":
            from .tasks.classification import Classification

            return Classification
        case "multilabel":
            from .tasks.multilabel import Multilabel

            return Multilabel
        case "embedding":
            from .tasks.embedding import Embedding

            return Embedding
        case "tokens":
            from .tasks.tokens import Tokens

            return Tokens
        case "rerank":
            from .tasks.rerank import Rerank

            return Rerank
        case "regression":
            from .tasks.regression import Regression

            return Regression
        case "detection":
            from .tasks.detection import Detection

            return Detection
        case "segmentation":
            from .tasks.segmentation import Segmentation

            return Segmentation
        case "raw":
            from .tasks.raw import Raw

            return Raw
        case _:
            raise KeyError(name)


def task_for(output: OutputOptions, rows: InputOptions | None = None) -> TaskHooks:
    """Return the hooks of the options' task for rows of such options, without rows and without a graph."""
    return task_alone(output.task, Signature("", "", "", "", rows or InputOptions(), output, (), (), 1))


def task_alone(name: str, signature: Signature) -> TaskHooks:
    """Return the hooks of a task for a signature, without rows and without a graph."""
    hooks = task(name)()
    hooks.signature = signature
    return hooks


def read_signature(folder: Path) -> Signature:
    """Parse `signature.json` of an unpacked archive; raises msgspec.ValidationError that names the wrong field."""
    content = (folder / "signature.json").read_bytes()
    names = msgspec.json.decode(content, type=_Names)
    records = {
        "InputOptions": input_kind(names.input.kind).input_options,
        "OutputOptions": task(names.output.task).output_options,
    }
    types = get_type_hints(Signature, localns=records)
    entries = [
        (entry.name, types[entry.name], *([] if entry.default is MISSING else [entry.default]))
        for entry in fields(Signature)
    ]
    document = msgspec.json.decode(content, type=msgspec.defstruct("Document", entries))
    return Signature(**{name: getattr(document, name) for name, *_ in entries})


class _Kind(msgspec.Struct):
    kind: str = ""


class _Task(msgspec.Struct):
    task: str = ""


class _Names(msgspec.Struct):
    input: _Kind
    output: _Task
