"""Text: each row is a string, and a batch is tokenised at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ..errors import InvalidRow, UndecodableBody
from ..protocols.body import from_base64, json_type, unwrap
from ..runtime.batching import guard
from ..signature import Schema, object_schema
from . import InputHooks, InputOptions, Positive

Ids = list[int]
UNKNOWN = "[UNK]"
TEXT: Schema = {"type": "string", "minLength": 1, "pattern": "\\S"}


class TextOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which texts are accepted, and how they become tokens."""

    kind: Literal["text"] = "text"
    """Rows are strings; the archive's `tokenizer.json` makes token ids of them."""
    max_tokens: Positive = 128
    """Most tokens of a text, special tokens included [tokens]; a longer text is refused."""

    row_name: ClassVar[str] = "text"


class TextInput(InputHooks):
    """Rows are strings; the archive's `tokenizer.json` (of the tokenizers library) makes token ids of them."""

    input_options = TextOptions
    dynamic_axes: Mapping[str, Mapping[int, str]] = {"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}}
    files = ("tokenizer.json",)
    raw_types = ("text/plain",)
    row_keys: tuple[str, ...] = ("text", "data")

    @property
    def options(self) -> TextOptions:
        """The kind's part of the signature."""
        return cast("TextOptions", self.signature.input)

    def prepare(self) -> None:
        """Load the tokenizer without padding and truncation: a text that is too long is an error, not cut silently."""
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.pad_id = int(self.options.extra.get("pad_id", 0))

    def check(self, instance: Any, where: str) -> Ids:
        """Return the token ids of a text: at least one, at most `max_tokens`, special tokens included."""
        return self._check_length(self.tokenizer.encode(self._text(instance, where)).ids, where)

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Tokenise all texts of a batch in one call."""
        if type(self).check is not TextInput.check:
            return super().check_all(instances, places)
        wheres = [f"instances[{place}]" for place in places]
        rows: list[Any] = [
            guard(partial(self._text, instance, where)) for instance, where in zip(instances, wheres, strict=True)
        ]
        texts = [index for index, text in enumerate(rows) if isinstance(text, str)]
        # The fast call leaves out offsets, which nobody reads.
        encodings = self.tokenizer.encode_batch_fast([rows[index] for index in texts])
        for index, encoding in zip(texts, encodings, strict=True):
            rows[index] = guard(partial(self._check_length, encoding.ids, wheres[index]))
        return rows

    def sample(self, draws: np.random.Generator) -> str:
        """Return a text of random tokens, at most half as many as a text may have: written out, some become more."""
        count = int(draws.integers(1, max(2, self.options.max_tokens // 2)))
        return self.tokenizer.decode(draws.integers(0, self.tokenizer.get_vocab_size(), count).tolist())

    def lengths(self, rows: Sequence[Ids]) -> list[int]:
        """Return each row's tokens: rows are padded to the longest of their batch."""
        return [len(row) for row in rows]

    def measures(self, rows: Sequence[Ids]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return each text's number of tokens, and the share of them that the vocabulary doesn't know."""
        unknown = self.tokenizer.token_to_id(UNKNOWN)
        if unknown is None:
            unknown = -1  # this vocabulary has no token for unknown words, so no token counts as one
        return {
            "tokens": np.array([len(row) for row in rows], np.float64),
            "unknown": np.array([row.count(unknown) / len(row) for row in rows]),
        }

    def tensor_sizes(self, tensors: Mapping[str, npt.NDArray[Any]]) -> Mapping[str, Sequence[int]]:
        """Return each row's tokens by the mask; a mask with gaps counts up to its last token."""
        mask = tensors.get("attention_mask")
        if mask is None:
            return super().tensor_sizes(tensors)
        return {"sequence": (mask * np.arange(1, mask.shape[1] + 1)).max(axis=1).tolist()}

    def free_axes(self) -> dict[str, int]:
        """Bound token tensors as texts are bounded."""
        return {"sequence": self.options.max_tokens}

    def check_values(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Raise InvalidRow for ids outside the vocabulary, and for a mask of other values than 0 and 1."""
        for name, bound in (("input_ids", self.tokenizer.get_vocab_size()), ("attention_mask", 2)):
            values = tensors.get(name)
            if values is not None and not ((values >= 0) & (values < bound)).all():
                raise InvalidRow(f"the input has values outside 0 to {bound - 1}", where=f"inputs.{name}")

    def _check_length(self, ids: Ids, where: str) -> Ids:
        limit = self.options.max_tokens
        if not ids:
            raise InvalidRow("the text has no token", where=where, fix="send at least one word")
        if len(ids) > limit:
            raise InvalidRow(
                f"the text has {len(ids)} tokens, at most {limit} are accepted",
                where=where,
                fix="shorten or split the text",
            )
        return ids

    def _text(self, instance: Any, where: str) -> str:
        instance = unwrap(instance, self.row_keys)
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
        """Return `input_ids` and `attention_mask`, int64, shape (rows, longest row)."""
        shape = (len(rows), max(len(row) for row in rows))
        ids = self.buffers.take("input_ids", shape, np.int64)
        mask = self.buffers.take("attention_mask", shape, np.int64)
        ids.fill(self.pad_id)
        mask.fill(0)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def row_schema(self) -> Schema:
        """Return the schema of `{"text": ...}`."""
        return object_schema({"text": TEXT}, ["text"])
