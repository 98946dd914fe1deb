"""A row of tokens: what the tokenizer made of a text, of a pair of texts or of words; and the tensors of some rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from .tensors_arrays import Buffers

Source = str | tuple[str, str] | list[str]
TensorName = Literal["input_ids", "attention_mask", "token_type_ids", "position_ids", "special_tokens_mask"]
TENSORS: tuple[TensorName, ...] = get_args(TensorName)
DEFAULT: tuple[TensorName, ...] = ("input_ids", "attention_mask")
TYPES: TensorName = "token_type_ids"
PANICS = "pyo3_runtime"  # the module of panics' type
PAD_TOKENS = ("[PAD]", "<pad>", "<|padding|>")  # where the tokenizer's file doesn't say how it pads


@contextlib.contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise RuntimeError in place of a panic in the tokenizers library, which would pass by `except Exception`.

    https://pyo3.rs/main/doc/pyo3/panic/struct.panicexception
    """
    try:
        yield
    except BaseException as error:
        if type(error).__module__ == PANICS:
            raise RuntimeError("the tokenizer panicked") from error
        raise


class Place(NamedTuple):
    """Where a token stands: the characters `start` to `end` of the text, or these words; `word` numbers its word."""

    start: int
    end: int
    word: int


class TokenRow(list[int]):
    """The token ids; `encoding` has all that the tokenizer says of them, `source` is what it read."""

    __slots__ = ("encoding", "source")

    def __init__(self, encoding: Encoding, source: Source) -> None:
        super().__init__(encoding.ids)
        self.encoding = encoding
        self.source = source

    def __getstate__(self) -> tuple[None, dict[str, Source]]:
        """Leave the encoding out of a pickle: it has parts in a random order, so equal rows would have other bytes."""
        return None, {"source": self.source}

    @property
    def text(self) -> str | list[str]:
        """The text, the first one of a pair, or the words."""
        return self.source[0] if isinstance(self.source, tuple) else self.source

    def places(self) -> list[Place | None]:
        """Return each token's place in `text`; None for a special token, and for one of the second text.

        Offsets need a tokenizer that kept them (`InputHooks.reads_offsets`).
        """
        encoding, text = self.encoding, self.text
        tokens = zip(encoding.offsets, encoding.word_ids, encoding.sequence_ids, strict=True)
        return [
            None if sequence != 0 else place_of(text, *offsets, -1 - index if word is None else word)
            for index, (offsets, word, sequence) in enumerate(tokens)
        ]

    def cut(self, start: int, end: int) -> str:
        """Return the part of `text` between two places, words with a space between them."""
        part = self.text[start:end]
        return part if isinstance(part, str) else " ".join(part)


def place_of(text: str | list[str], start: int, end: int, word: int) -> Place:
    """Return a token's place without the space around it, which some tokenizers count to a token."""
    if isinstance(text, list):
        return Place(word, word + 1, word)
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return Place(start, end, word)


VALUES: dict[str, Callable[[TokenRow], Sequence[int] | int]] = {
    "input_ids": lambda row: row,
    "attention_mask": lambda _: 1,
    "token_type_ids": lambda row: row.encoding.type_ids,
    "position_ids": lambda row: range(len(row)),
    "special_tokens_mask": lambda row: row.encoding.special_tokens_mask,
}


class Padding(NamedTuple):
    """What stands beside shorter rows of a batch, and on which side."""

    token: int = 0
    token_type: int = 0
    left: bool = False

    @classmethod
    def of(cls, tokenizer: Tokenizer, token: int | None = None, side: str = "file") -> Padding:
        """Return what the tokenizer's file says; `token` and `side` override its padding token and its side."""
        known = tokenizer.padding
        if known is None:
            ids = (tokenizer.token_to_id(name) for name in PAD_TOKENS)
            usual = next((number for number in ids if number is not None), 0)
            return cls(usual if token is None else token, left=side == "left")
        left = (str(known["direction"]).lower() if side == "file" else side) == "left"
        return cls(int(known["pad_id"]) if token is None else token, int(known["pad_type_id"]), left)

    def value(self, tensor: str) -> int:
        """Return the value of a tensor where a row has no token."""
        return {"input_ids": self.token, "token_type_ids": self.token_type, "special_tokens_mask": 1}.get(tensor, 0)


def pad_rows(
    rows: Sequence[TokenRow], names: Sequence[str], padding: Padding, buffers: Buffers
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the named tensors, int64, shape (rows, longest row)."""
    lengths = [len(row) for row in rows]
    width, tensors = max(lengths), {}
    starts = [width - length if padding.left else 0 for length in lengths]
    for name in names:
        array = tensors[name] = buffers.take(name, (len(rows), width), np.int64)
        array.fill(padding.value(name))
        values = VALUES[name]
        for index, row in enumerate(rows):
            array[index, starts[index] : starts[index] + lengths[index]] = values(row)
    return tensors
