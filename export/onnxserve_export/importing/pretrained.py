"""A folder of Hugging Face's transformers or sentence-transformers: kind, task and labels by its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.pretrained import (
    CONFIG,
    HIDDEN_STATE,
    MODULES,
    architecture,
    read_object,
    read_optional,
    transformer_folder,
)
from onnxserve_handlers.registry import TASKS
from onnxserve_handlers.registry import task as task_class

from . import pretrained_image, pretrained_sound, pretrained_text
from .outline import Outline
from .pretrained_tokenizer import read_tokenizer


class Head(NamedTuple):
    """What the last part of a class's name says: rows, predictions, and the outputs that are served."""

    kind: str
    task: str
    outputs: tuple[str, ...]


LOGITS = ("logits",)
HEADS = {
    "ForSequenceClassification": Head("text", "classification", LOGITS),
    "ForTokenClassification": Head("text", "tokens", LOGITS),
    "ForImageClassification": Head("image", "classification", LOGITS),
    "ForObjectDetection": Head("image", "detection", ("pred_boxes", "logits")),
    "ForSemanticSegmentation": Head("image", "segmentation", LOGITS),
    "ForAudioClassification": Head("audio", "classification", LOGITS),
}
VECTORS = Head("text", "embedding", (HIDDEN_STATE,))
PROCESSOR = "preprocessor_config.json"


def read_pretrained(outline: Outline, folder: Path) -> None:
    """Read everything that the folder's files say; DefinitionError for an architecture that isn't taken."""
    inner = transformer_folder(folder)
    config = read_object(inner / CONFIG)
    name = architecture(config, folder)
    processor = processor_of(inner)
    head = head_of(name, processor, sentences=(folder / MODULES).is_file())
    origin = MODULES if head.task == VECTORS.task and (folder / MODULES).is_file() else f"{CONFIG}: {name}"
    outline.add("source_outputs", [*head.outputs], origin)
    outline.add("input.kind", head.kind, origin)
    match outline.get("input.kind"):
        case "text":
            pretrained_text.read_text(outline, folder, inner, config)
        case "image":
            pretrained_image.read_image(outline, config, processor)
        case "audio":
            pretrained_sound.read_sound(outline, config, processor)
        case _:
            pass
    if head.task != VECTORS.task:
        read_task(outline, head, config, origin)
    elif not (folder / MODULES).is_file():
        read_vectors(outline)
    if outline.get("input.kind") == "text":
        read_tokenizer(outline, inner, pretrained_text.tokenizer_of(outline, folder, inner))


def processor_of(folder: Path) -> dict[str, Any]:
    """Return the settings of the folder's image processor or feature extractor; empty where it has none."""
    return read_optional(folder / PROCESSOR)


def head_of(name: str, processor: Any, *, sentences: bool) -> Head:
    """Return what a class gives; DefinitionError for one whose outputs no task reads."""
    if sentences:
        return VECTORS
    if name.endswith("ForSequenceClassification") and kind_of(processor) == "audio":
        return HEADS["ForAudioClassification"]
    for suffix, head in HEADS.items():
        if name.endswith(suffix):
            return head
    if name.endswith("Model"):
        return VECTORS._replace(kind=kind_of(processor))
    raise DefinitionError(
        f"{name} isn't taken: {', '.join(f'…{suffix}' for suffix in HEADS)}, and …Model for vectors are",
        where=CONFIG,
        fix='build the module in model.py, and set source = "model.py:load"; onnxserve new KIND NAME begins one',
    )


def kind_of(processor: Mapping[str, Any]) -> str:
    """Return the kind of rows that the settings of a processor are for; a folder of texts has none."""
    if not processor:
        return "text"
    return "audio" if "sampling_rate" in processor else "image"


def read_vectors(outline: Outline) -> None:
    """Read the task of a model without a head, and ask how it pools."""
    outline.add("output.task", VECTORS.task, f"{CONFIG}: a model without a head gives vectors of a row's parts")
    if outline.get("output.task") == VECTORS.task:
        outline.ask("output.pooling", "how vectors of tokens, or of a picture's patches, become one: mean, cls or last")


def takes_labels(task: str) -> bool:
    """Return whether a task needs labels; an unknown task doesn't, and in the others they name single outputs."""
    fields = msgspec.structs.fields(task_class(task).output_options) if task in TASKS else ()
    return any(field.name == "labels" and field.required for field in fields)


def read_task(outline: Outline, head: Head, config: dict[str, Any], origin: str) -> None:
    """Read task and labels; one output may be a score, a rank or a value, which only sentence-transformers says."""
    labels, problem = labels_of(config), config.get("problem_type")
    if head.task == "classification" and head.kind == "text" and len(labels or ()) == 1:
        _read_single(outline, config)
        return
    task = head.task
    if head.task == "classification" and problem == "multi_label_classification":
        task, origin = "multilabel", f"{CONFIG}: problem_type"
    if head.task == "classification" and problem == "regression":
        outline.add("output.task", "regression", f"{CONFIG}: problem_type")
        return
    outline.add("output.task", task, origin)
    if not takes_labels(outline.get("output.task")):
        return
    if head.outputs == LOGITS:
        read_activation(outline)
    if labels:
        outline.add("output.labels", labels, f"{CONFIG}: id2label, in the order of the outputs")
    elif outline.get("output.task") == task:
        outline.ask("output.labels", f"id2label of {CONFIG} doesn't name the outputs 0, 1, … without a gap")
    if outline.get("output.task") == "detection":
        pretrained_image.read_boxes(outline, config)
    if outline.get("output.task") == head.task == "segmentation":
        pretrained_image.read_masks(outline)


def read_activation(outline: Outline) -> None:
    """Read what makes scores of logits, which may lie between 0 and 1 by chance."""
    options = task_class(outline.get("output.task")).output_options
    if any(field.name == "activation" for field in msgspec.structs.fields(options)):
        outline.add("output.activation", options.logit_activation, "outputs of transformers' heads are logits")


def _read_single(outline: Outline, config: dict[str, Any]) -> None:
    if pretrained_text.is_cross_encoder(config):
        outline.add("output.task", "rerank", f"{CONFIG}: one output of a cross-encoder")
    elif config.get("problem_type") == "regression":
        outline.add("output.task", "regression", f"{CONFIG}: problem_type")
    outline.ask("output.task", "the model has one output: `rerank` for a cross-encoder, `regression` for a value")
    if outline.get("output.task") == "rerank":
        if outline.get("input.kind") == "text":
            outline.add("input.pairs", True, "a cross-encoder reads a query and a document together")
        pretrained_text.read_rank_activation(outline, config)


def labels_of(config: dict[str, Any]) -> list[str] | None:
    """Return the labels in the order of the outputs; a name that occurs twice, as in ImageNet, gets a number.

    None where a label's number is missing: nothing then says which output the others are of.
    """
    names = config.get("id2label")
    if isinstance(names, list):
        names = {str(index): label for index, label in enumerate(names)}
    if not isinstance(names, dict):
        return [f"LABEL_{index}" for index in range(int(config.get("num_labels") or 2))]  # transformers' own names
    if {str(key) for key in names} != {str(index) for index in range(len(names))}:
        return None
    ordered = [str(names[key]) for key in sorted(names, key=int)]
    return [f"{name} ({index})" if ordered.count(name) > 1 else name for index, name in enumerate(ordered)]
