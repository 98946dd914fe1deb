"""Text in, label out: one string a row, tokenised as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from .base import Handler
from .errors import InvalidRow, UndecodableBody


class TextClassifier(Handler):
    """Rows are strings; the archive's `tokenizer.json` (tokenizers library) splits them."""

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {
        "input_ids": {1: "sequence"},
        "attention_mask": {1: "sequence"},
    }
    raw_types = ("text/plain",)
    row_keys = ("text", "data")

    def prepare(self) -> None:
        """Load the tokenizer without its padding and truncation: too long is an error, not a silent cut."""
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.pad_id = int(self.signature.input.extra.get("pad_id", 0))

    def check(self, instance: Any, where: str) -> Encoding:
        """A non-empty string of at most `max_tokens` tokens, special tokens included."""
        text = self._text(instance, where)
        if not text.strip():
            raise InvalidRow("the text is empty", where=where, fix="send at least one word")
        encoding = self.tokenizer.encode(text)
        limit = self.signature.input.max_tokens
        if not encoding.ids:
            raise InvalidRow("the text has no token", where=where, fix="send at least one word")
        if len(encoding.ids) > limit:
            raise InvalidRow(
                f"{len(encoding.ids)} tokens, at most {limit} are accepted",
                where=where,
                fix="shorten or split the text",
            )
        return encoding

    def _text(self, instance: Any, where: str) -> str:
        if isinstance(instance, bytes):
            try:
                instance = instance.decode()
            except UnicodeDecodeError as error:
                raise UndecodableBody("the text is not UTF-8", where=where, fix="encode it as UTF-8") from error
        if isinstance(instance, dict) and set(instance) == {"text"}:
            instance = instance["text"]
        if not isinstance(instance, str):
            raise InvalidRow(
                f"expected a string, got {type(instance).__name__}", where=where, fix='send {"text": "..."}'
            )
        return instance

    def tensors(self, rows: Sequence[Encoding]) -> dict[str, npt.NDArray[np.int64]]:
        """`input_ids` and `attention_mask`, int64, shape (batch, longest row)."""
        longest = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row.ids)] = row.ids
            mask[index, : len(row.ids)] = 1
        return {"input_ids": ids, "attention_mask": mask}
