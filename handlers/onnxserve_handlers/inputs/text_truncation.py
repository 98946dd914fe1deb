"""Texts that are too long: a tokenizer that cuts them."""

from __future__ import annotations

from tokenizers import Tokenizer


def truncating_tokenizer(path: str, most: int, truncate: str, *, pairs: bool) -> Tokenizer:
    """Return a tokenizer that cuts rows to `most` tokens, as `truncate` of the options says."""
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    last = "only_second" if pairs else "only_first"
    tokenizer.enable_truncation(
        most,
        strategy="longest_first" if truncate == "longest_first" else last,
        direction="left" if truncate == "left" else "right",
    )
    return tokenizer
