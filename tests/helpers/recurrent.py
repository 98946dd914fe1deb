"""A recurrent text classifier with seeded weights that can't tell padding from text."""

from __future__ import annotations

import random
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from .import_command import FP32, Words, sets, write_rows

LABELS = ("no", "yes")
WORDS = ("good", "bad", "film", "a", "the", "very", "was", "plot", "music", "end")
MODEL = """
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.words = nn.Embedding(12, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, input_ids):
        states, _ = self.lstm(self.words(input_ids))
        return self.head(states[:, -1])


def load():
    return Recurrent()
"""


def tokenizer() -> Tokenizer:
    """Return the tokenizer of whole words."""
    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return words


def command(work: Path, batch: str = "equal") -> Words:
    """Write function, tokenizer and rows; with `padded` it is a model that the export must refuse."""
    (work / "recurrent.py").write_text(MODEL)
    tokenizer().save(str(work / "tokenizer.json"))
    draws = random.Random(7)
    rows = write_rows(work / "words.jsonl", (" ".join(draws.choices(WORDS, k=draws.randint(1, 9))) for _ in range(120)))
    fields = sets(input__max_tokens=12, input__batch=batch, serve__batch_size=4)
    words = ("--kind", "text", "--labels", ",".join(LABELS), "--rows", rows)
    return ("import", "recurrent.py:load", "recurrent", *words, *fields, *FP32)
