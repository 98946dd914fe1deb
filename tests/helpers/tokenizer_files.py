"""Small tokenizers as a model's `tokenizer.json` has them."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "film", "Ada", "##line", "lives", "in", "Paris", ".")
PAD, UNK, CLS, SEP, GOOD, FILM = range(6)


def piece_tokenizer(padding: str = "right") -> Tokenizer:
    """Return a tokenizer of word pieces with `[CLS]` and `[SEP]`, and token types for pairs, as BERT's."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    tokenizer.enable_padding(direction=padding, pad_id=PAD, pad_type_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(3)  # what the file says of lengths doesn't count
    return tokenizer


def save_tokenizer(folder: Path, padding: str = "right") -> Path:
    """Write `tokenizer.json` into a folder, and return the folder."""
    piece_tokenizer(padding).save(str(folder / "tokenizer.json"))
    return folder
