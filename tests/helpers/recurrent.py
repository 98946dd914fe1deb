"""A recurrent text classifier with seeded weights that can't tell padding from text."""

from __future__ import annotations

from pathlib import Path

WORDS = ("good", "bad", "film", "a", "the", "very", "was", "plot", "music", "end")
MODEL = '''
"""A recurrent classifier: its answer to a text depends on every token, padding too."""

import itertools
import random

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

WORDS = {words!r}


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.words = nn.Embedding(len(WORDS) + 2, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, input_ids):
        states, _ = self.lstm(self.words(input_ids))
        return self.head(states[:, -1])


def load():
    return Recurrent()


def rows():
    draws = random.Random(7)
    return [(" ".join(draws.choices(WORDS, k=draws.randint(1, 9))), None) for _ in range(120)]


def assets():
    vocabulary = {{word: number for number, word in enumerate(("[PAD]", "[UNK]", *WORDS))}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return {{"tokenizer.json": tokenizer.to_str().encode()}}
'''
DEFINITION = """
name = "recurrent"
version = "1.0.0"
source = "model.py:load"
rows = "model.py:rows"
assets = "model.py:assets"

[input]
kind = "text"
max_tokens = 12
batch = "{batch}"

[output]
task = "classification"
labels = ["no", "yes"]

[quantise]
variants = ["fp32"]

[serve]
batch_size = 4
"""
GOLDEN = '{"input": "a good film"}\n{"input": "the end was very bad"}\n'


def recurrent(models: Path, batch: str = "equal") -> Path:
    """Write the folder of the model; with `padded` it is a definition that the export must refuse."""
    folder = models / "recurrent"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(MODEL.format(words=WORDS))
    (folder / "model.toml").write_text(DEFINITION.format(batch=batch))
    (folder / "golden.jsonl").write_text(GOLDEN)
    return folder
