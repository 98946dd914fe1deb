"""The text side of a transformers folder: the longest text, pairs, and how sentence-transformers pools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.assets import place_of
from onnxserve_export.sources.pretrained import CONFIG, MODULES, read_object, read_optional, sentence_modules
from onnxserve_handlers.inputs.text_tokens import PAD_TOKENS

from .outline import Outline
from .pretrained_tokenizer import TOKENIZER, TOKENIZER_CONFIG

PROMPTS = "config_sentence_transformers.json"
SENTENCES = "sentence_bert_config.json"
WRITE_TOKENIZER = (
    "write it: AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER); or give one: "
    "--file PATH/tokenizer.json"
)
ENDLESS = 10**6  # transformers writes a number with thirty digits for "unlimited"
# Position embeddings of these begin behind the padding's index, so that two fewer tokens fit.
OFFSET_POSITIONS = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "data2vec-text",
    "ibert",
    "xmod",
    "mpnet",
    "longformer",
)
ENTAILMENT = {"entailment", "contradiction"}  # labels of models that read a premise and a hypothesis
POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
RANK_ACTIVATION = "sbert_ce_default_activation_function"
RANK_ACTIVATIONS = {"Identity": "none", "Sigmoid": "sigmoid"}  # modules of torch


def read_text(outline: Outline, folder: Path, inner: Path, config: dict[str, Any]) -> None:
    """Read limits of texts, and the pooling of a folder that gives vectors; a tokenizer's file is asked for."""
    tokenizer = tokenizer_of(outline, folder, inner)
    if tokenizer is None and not outline.get("assets"):
        outline.ask(
            TOKENIZER, "the folder lacks it, and it makes tokens of texts without transformers", WRITE_TOKENIZER
        )
    tokens, origin = longest_text(inner, config)
    if tokens:
        outline.add("input.max_tokens", tokens, origin)
    outline.ask("input.max_tokens", "the longest text in tokens, which neither the model nor its tokenizer states")
    if tokenizer is not None:
        _read_padding(outline, tokenizer, config)
    if config.get("summary_type") == "last":
        outline.add("input.padding_side", "left", f"{CONFIG}: summary_type, the head reads a row's last place")
    names = config.get("id2label")
    labels = {str(label).lower() for label in names.values()} if isinstance(names, dict) else set()
    if is_cross_encoder(config):
        outline.add("input.pairs", True, f"{CONFIG}: a cross-encoder reads two texts together")
    if labels & ENTAILMENT:
        outline.add("input.pairs", True, f"{CONFIG}: labels of a premise and a hypothesis")
    if (folder / MODULES).is_file():
        _read_pooling(outline, folder, tokenizer)


def tokenizer_of(outline: Outline, folder: Path, inner: Path) -> Path | None:
    """Return the tokenizer's file: the user's own, or the folder's; None where it has none."""
    return outline.files.get(TOKENIZER) or place_of(TOKENIZER, (folder, inner))


def longest_text(inner: Path, config: dict[str, Any]) -> tuple[int, str]:
    """Return the smallest limit that the files state, and which file states it; 0 where none does."""
    limits = dict[str, int]()
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int):
        offset = 2 if config.get("model_type") in OFFSET_POSITIONS else 0
        limits[f"{CONFIG}: max_position_embeddings"] = positions - offset
    for file, field in ((TOKENIZER_CONFIG, "model_max_length"), (SENTENCES, "max_seq_length")):
        document = read_optional(inner / file)
        value = document.get(field)
        if isinstance(value, int | float) and 0 < value < ENDLESS:
            limits[f"{file}: {field}"] = int(value)
    origin = min(limits, key=lambda name: limits[name], default="")
    return limits.get(origin, 0), origin


def _check_texts(folder: Path, inner: Path, tokenizer: Path | None) -> None:
    """Raise DefinitionError for texts that sentence-transformers changes before the tokenizer gets them."""
    prompts = read_optional(folder / PROMPTS)
    if name := prompts.get("default_prompt_name"):
        raise DefinitionError(
            f"{PROMPTS} puts the prompt {name!r} before each text, which the kind text doesn't",
            where=str(folder / PROMPTS),
            fix="let clients send texts with the prompt, and remove default_prompt_name from the file",
        )
    settings = read_optional(inner / SENTENCES)
    if tokenizer and settings.get("do_lower_case") and not lowers(read_object(tokenizer).get("normalizer")):
        raise DefinitionError(
            f"{SENTENCES} makes texts lower-case, and {TOKENIZER} doesn't",
            where=str(inner / SENTENCES),
            fix=f"add a normalizer Lowercase to {TOKENIZER}",
        )


def lowers(normalizer: Any) -> bool:
    """Return whether a tokenizer's normalizer, or one of a sequence, makes texts lower-case."""
    if not isinstance(normalizer, dict):
        return False
    parts = normalizer.get("normalizers")
    own = normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase"))
    return own or (isinstance(parts, list) and any(map(lowers, parts)))


def is_cross_encoder(config: dict[str, Any]) -> bool:
    """Return whether CrossEncoder of sentence-transformers wrote the folder, in its form or the former one."""
    return "sentence_transformers" in config or RANK_ACTIVATION in config


def read_rank_activation(outline: Outline, config: dict[str, Any]) -> None:
    """Read what CrossEncoder makes scores of its output with: where its folder states nothing, a sigmoid."""
    if not is_cross_encoder(config):
        return
    section = config.get("sentence_transformers")
    stated = section.get("activation_fn") if isinstance(section, dict) else None
    name = str(stated or config.get(RANK_ACTIVATION) or "Sigmoid")
    if activation := RANK_ACTIVATIONS.get(name.rpartition(".")[2]):
        outline.add("output.activation", activation, f"{CONFIG}: the cross-encoder's activation, {name}")
    outline.ask("output.activation", f"{CONFIG} names {name}; a rank is the output itself (none), or its sigmoid")


def _read_padding(outline: Outline, tokenizer: Path, config: dict[str, Any]) -> None:
    """Read the padding token of the model where its tokenizer's file names none that a handler knows."""
    document, token = read_object(tokenizer), config.get("pad_token_id")
    if document.get("padding") or not isinstance(token, int):
        return
    added = document.get("added_tokens") or []
    names = {entry.get("content") for entry in added if isinstance(entry, dict)}
    model = document.get("model")
    names |= (
        set(model.get("vocab") or ()) if isinstance(model, dict) and isinstance(model.get("vocab"), dict) else set()
    )
    if not names & set(PAD_TOKENS):
        outline.add("input.extra.pad_id", token, f"{CONFIG}: pad_token_id")


def _read_pooling(outline: Outline, folder: Path, tokenizer: Path | None) -> None:
    """Read the modules behind the transformer: pooling, and whether vectors get the length 1."""
    entries = sentence_modules(folder)
    _check_texts(folder, entries[0][1], tokenizer)
    outline.add("output.task", "embedding", f"{MODULES}: sentence-transformers")
    if outline.get("output.task") != "embedding":
        return
    for name, path in entries:
        if name == "Pooling":
            document = read_object(path / CONFIG)
            modes = [field for field, on in document.items() if field.startswith("pooling_mode_") and on is True]
            pooling = document.get("pooling_mode") or (POOLING.get(modes[0]) if len(modes) == 1 else None)
            if pooling not in POOLING.values():
                stated = document.get("pooling_mode") or ", ".join(modes)
                raise DefinitionError(f"pooling {stated} isn't taken", where=str(path / CONFIG))
            outline.add("output.pooling", pooling, f"{path.name}/{CONFIG}")
    outline.ask("output.pooling", f"{MODULES} has no module Pooling: mean, cls or last")
    normalised = any(name == "Normalize" for name, _ in entries)
    outline.add("output.normalise", normalised, f"{MODULES}: {'a' if normalised else 'no'} module Normalize")
