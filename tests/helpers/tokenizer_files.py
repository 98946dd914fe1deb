"""Small tokenizers as a model's `tokenizer.json` has them."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PIECES = ("good", "film", "Ada", "##line", "lives", "in", "Paris", ".")
PAD, UNK, CLS, SEP, GOOD, FILM = range(6)


def vocabulary_of(words: tuple[str, ...]) -> dict[str, int]:
    return {word: number for number, word in enumerate((*SPECIAL, *words))}


def mark_as_bert(tokenizer: Tokenizer) -> Tokenizer:
    """Put `[CLS]` before a text, `[SEP]` behind it and between two texts, and number the texts of a pair."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    return tokenizer


def bert_word_tokenizer(words: tuple[str, ...] = ("good", "bad", "film", "the")) -> Tokenizer:
    """Return a tokenizer of whole words in lower case."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary_of(words), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return mark_as_bert(tokenizer)


def bert_piece_tokenizer(padding: str = "right") -> Tokenizer:
    """Return a tokenizer of word pieces that pads on one side."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary_of(PIECES), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_padding(direction=padding, pad_id=PAD, pad_type_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(3)  # what the file says of lengths doesn't count
    return mark_as_bert(tokenizer)


def save_tokenizer(folder: Path, padding: str = "right") -> Path:
    """Write the `tokenizer.json` of a tokenizer of word pieces into a folder, and return the folder."""
    bert_piece_tokenizer(padding).save(str(folder / "tokenizer.json"))
    return folder
