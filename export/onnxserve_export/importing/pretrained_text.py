"""The text side of a transformers folder: the longest text, pairs, and how sentence-transformers pools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.sources.pretrained import CONFIG, MODULES, read_json

from .outline import Outline

TOKENIZER, TOKENIZER_CONFIG, SENTENCES = "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json"
ENDLESS = 10**6  # transformers writes a number with thirty digits for "unlimited"
# Position embeddings of these begin behind the padding's index, so that two fewer tokens fit.
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet", "longformer")
ENTAILMENT = {"entailment", "contradiction"}  # labels of models that read a premise and a hypothesis
POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
TAKEN = ("Transformer", "Pooling", "Normalize")  # modules of sentence-transformers


def read_text(outline: Outline, folder: Path, inner: Path, config: dict[str, Any]) -> None:
    """Read limits of texts, and the pooling of a folder that gives vectors; DefinitionError without a tokenizer."""
    if not any((place / TOKENIZER).is_file() for place in (folder, inner)):
        raise DefinitionError(
            f"there is no {TOKENIZER}, which turns texts into tokens without transformers",
            where=str(folder),
            fix="write it: AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)",
        )
    tokens, origin = longest_text(inner, config)
    if tokens:
        outline.add("input.max_tokens", tokens, origin)
    outline.ask("input.max_tokens", "the longest text in tokens, which neither the model nor its tokenizer states")
    labels = {str(label).lower() for label in (config.get("id2label") or {}).values()}
    if labels & ENTAILMENT:
        outline.add("input.pairs", True, f"{CONFIG}: labels of a premise and a hypothesis")
    if (folder / MODULES).is_file():
        _read_pooling(outline, folder)
    elif str((config.get("architectures") or [""])[0]).endswith("Model"):
        outline.add("output.task", "embedding", f"{CONFIG}: a model without a head gives vectors of tokens")
        outline.ask("output.pooling", "how vectors of tokens become one vector: mean, cls or last")


def longest_text(inner: Path, config: dict[str, Any]) -> tuple[int, str]:
    """Return the smallest limit that the files state, and which file states it; 0 where none does."""
    limits = dict[str, int]()
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int):
        offset = 2 if config.get("model_type") in OFFSET_POSITIONS else 0
        limits[f"{CONFIG}: max_position_embeddings"] = positions - offset
    for file, field in ((TOKENIZER_CONFIG, "model_max_length"), (SENTENCES, "max_seq_length")):
        document = read_json(inner / file) if (inner / file).is_file() else {}
        value = document.get(field)
        if isinstance(value, int | float) and 0 < value < ENDLESS:
            limits[f"{file}: {field}"] = int(value)
    origin = min(limits, key=lambda name: limits[name], default="")
    return limits.get(origin, 0), origin


def _read_pooling(outline: Outline, folder: Path) -> None:
    """Read the modules behind the transformer: pooling, and whether vectors get the length 1."""
    listed = read_json(folder / MODULES)
    entries = [(str(entry["type"]).rpartition(".")[2], folder / str(entry["path"])) for entry in listed]
    if unknown := [name for name, _ in entries if name not in TAKEN]:
        raise DefinitionError(
            f"{MODULES} has {', '.join(unknown)}, which isn't taken: {', '.join(TAKEN)} are",
            where=str(folder / MODULES),
            fix='build the whole chain as a module in model.py, and set source = "model.py:load"',
        )
    outline.add("output.task", "embedding", f"{MODULES}: sentence-transformers")
    for name, path in entries:
        if name == "Pooling":
            document = read_json(path / CONFIG)
            modes = [field for field, on in document.items() if field.startswith("pooling_mode_") and on is True]
            pooling = document.get("pooling_mode") or (POOLING.get(modes[0]) if len(modes) == 1 else None)
            if pooling not in POOLING.values():
                stated = document.get("pooling_mode") or ", ".join(modes)
                raise DefinitionError(f"pooling {stated} isn't taken", where=str(path / CONFIG))
            outline.add("output.pooling", pooling, f"{path.name}/{CONFIG}")
    normalised = any(name == "Normalize" for name, _ in entries)
    outline.add("output.normalise", normalised, f"{MODULES}: {'a' if normalised else 'no'} module Normalize")
