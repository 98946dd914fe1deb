"""A small BERT with seeded weights that reads a premise and a hypothesis, as save_pretrained writes it."""

from __future__ import annotations

from pathlib import Path

from .import_command import Words, write_rows
from .pretrained import save_bert

LABELS = ("entailment", "neutral", "contradiction")
PHRASES = ("good film", "bad film", "the good", "the bad film", "bad", "good good", "film", "the film the good")
FOLDER = "bert"


def command(work: Path) -> Words:
    """Write the folder, and pairs as rows."""
    import transformers

    save_bert(transformers, "BertForSequenceClassification", work / FOLDER, id2label=dict(enumerate(LABELS)))
    rows = write_rows(work / "premises.jsonl", [[first, second] for first in PHRASES for second in PHRASES])
    return ("import", FOLDER, "premises", "--rows", rows, "--draft")


def scores(work: Path, premise: str, hypothesis: str) -> dict[str, float]:
    """Return the probabilities of the folder's module by transformers alone."""
    import torch
    import transformers
    from tokenizers import Tokenizer

    module = transformers.BertForSequenceClassification.from_pretrained(work / FOLDER).eval()
    encoding = Tokenizer.from_file(str(work / FOLDER / "tokenizer.json")).encode(premise, hypothesis)
    with torch.inference_mode():
        logits = module(torch.tensor([encoding.ids]), token_type_ids=torch.tensor([encoding.type_ids])).logits
    return dict(zip(LABELS, logits[0].softmax(0).tolist(), strict=True))
