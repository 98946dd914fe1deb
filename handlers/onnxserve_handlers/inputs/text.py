"""Text in, label out: one string a row, tokenised as a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ..errors import InvalidRow, UndecodableBody
from ..handler import Handler
from ..protocols.body import from_base64, json_type, unwrapped
from ..runtime.batching import guarded

Ids = list[int]
UNKNOWN = "[UNK]"


class TextClassifier(Handler):
    """Rows are strings; the archive's `tokenizer.json` (tokenizers library) splits them."""

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {
        "input_ids": {1: "sequence"},
        "attention_mask": {1: "sequence"},
    }
    raw_types = ("text/plain",)
    row_keys: tuple[str, ...] = ("text", "data")

    def prepare(self) -> None:
        """Load the tokenizer without its padding and truncation: too long is an error, not a silent cut."""
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.pad_id = int(self.signature.input.extra.get("pad_id", 0))

    def check(self, instance: Any, where: str) -> Ids:
        """A non-empty string of at most `max_tokens` tokens, special tokens included; its token ids."""
        return self._bounded(self.tokenizer.encode(self._text(instance, where)).ids, where)

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """All texts of a batch tokenised in one call."""
        if type(self).check is not TextClassifier.check:
            return super().check_all(instances, places)
        wheres = [f"instances[{place}]" for place in places]
        found: list[Any] = [guarded(partial(self._text, *one)) for one in zip(instances, wheres, strict=True)]
        good = [index for index, text in enumerate(found) if isinstance(text, str)]
        # Without offsets, which nobody reads.
        encodings = self.tokenizer.encode_batch_fast([found[index] for index in good])
        for index, encoding in zip(good, encodings, strict=True):
            found[index] = guarded(partial(self._bounded, encoding.ids, wheres[index]))
        return found

    def lengths(self, rows: Sequence[Ids]) -> list[int]:
        """Rows are padded to the longest of their batch."""
        return [len(row) for row in rows]

    def measures(self, rows: Sequence[Ids]) -> Mapping[str, npt.NDArray[np.float64]]:
        """How long a text is, and how much of it the vocabulary doesn't know."""
        unknown = self.tokenizer.token_to_id(UNKNOWN)
        if unknown is None:
            unknown = -1  # a vocabulary that knows everything
        return {
            "tokens": np.array([len(row) for row in rows], np.float64),
            "unknown": np.array([row.count(unknown) / len(row) for row in rows]),
        }

    def free_axes(self) -> dict[str, int]:
        """Token tensors are bounded as texts are."""
        return {"sequence": self.signature.input.max_tokens}

    def check_values(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Ids in the vocabulary, and a mask of zeros and ones."""
        for name, bound in (("input_ids", self.tokenizer.get_vocab_size()), ("attention_mask", 2)):
            values = tensors.get(name)
            if values is not None and not ((values >= 0) & (values < bound)).all():
                raise InvalidRow(f"values outside 0 to {bound - 1}", where=f"inputs.{name}")

    def _bounded(self, ids: Ids, where: str) -> Ids:
        limit = self.signature.input.max_tokens
        if not ids:
            raise InvalidRow("the text has no token", where=where, fix="send at least one word")
        if len(ids) > limit:
            raise InvalidRow(
                f"{len(ids)} tokens, at most {limit} are accepted", where=where, fix="shorten or split the text"
            )
        return ids

    def _text(self, instance: Any, where: str) -> str:
        instance = unwrapped(instance, self.row_keys)
        if isinstance(instance, dict) and isinstance(encoded := instance.get("b64"), str) and len(instance) == 1:
            instance = from_base64(encoded, where)
        if isinstance(instance, bytes | bytearray):
            try:
                instance = instance.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise UndecodableBody("the text is not UTF-8", where=where, fix="encode it as UTF-8") from error
        if not isinstance(instance, str):
            raise InvalidRow(f"expected a string, got {json_type(instance)}", where=where, fix='send {"text": "..."}')
        if not instance.strip():
            raise InvalidRow("the text is empty", where=where, fix="send at least one word")
        return instance

    def tensors(self, rows: Sequence[Ids]) -> dict[str, npt.NDArray[np.int64]]:
        """`input_ids` and `attention_mask`, int64, shape (batch, longest row)."""
        shape = (len(rows), max(len(row) for row in rows))
        ids = self.buffers.take("input_ids", shape, np.int64)
        mask = self.buffers.take("attention_mask", shape, np.int64)
        ids.fill(self.pad_id)
        mask.fill(0)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}
