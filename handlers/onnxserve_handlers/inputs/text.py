"""Text: each row is a string, a pair of strings or a list of words, and a batch is tokenised at once."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from ..errors import InvalidRow, RequestError, UndecodableBody, guard
from ..protocols.body import json_type, unwrap
from ..signature import TEXT_PAIR, Schema, object_schema
from . import InputHooks, InputOptions, Positive, from_base64
from .tensors_arrays import check_mask
from .text_tokens import DEFAULT, TENSORS, TYPES, Padding, Source, TensorName, TokenRow, pad_rows, panics_as_errors
from .text_truncation import truncating_tokenizer

AXIS = "sequence"
UNKNOWN = "[UNK]"
SAMPLE_TRIALS = 32  # of random texts for a row, more than half of them of one token
TEXT: Schema = {"type": "string", "minLength": 1, "pattern": "\\S"}


class TextOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which texts are accepted, and how they become tokens."""

    kind: Literal["text"] = "text"
    """Rows are strings; the archive's `tokenizer.json` makes token ids of them."""
    pairs: bool = False
    """Rows are two texts, such as a question and a passage, which the tokenizer joins."""
    pair_types: bool = True
    """Whether the second text of a pair has the types in `token_type_ids` that the tokenizer's file gives it.

    `false` for zeros: transformers gives none where its `model_input_names` lack `token_type_ids`.
    """
    max_tokens: Positive = 128
    """Most tokens of a row, special tokens included [tokens]; `truncate` says what happens to a longer one."""
    truncate: Literal["error", "right", "left", "longest_first"] = "error"
    """A row with more tokens is refused (`error`), or its text is cut at its end (`right`) or beginning (`left`).

    Of a pair, `right` and `left` cut the second text; `longest_first` cuts the end of whichever text is longer.
    """
    tensors: tuple[TensorName, ...] = ()
    """Tensors that the model takes.

    By default the export takes those that the model requires, ids and mask if it knows them, and the token types of
    pairs.
    """
    padding_side: Literal["file", "left", "right"] = "file"
    """Side of a shorter row on which its padding stands; `file` for what the tokenizer's file says, else the right."""
    batch: Literal["padded", "equal"] = "padded"
    """`equal` for a model that can't tell padding from text: only rows of as many tokens then run together."""

    row_name: ClassVar[str] = "text"
    numeric: ClassVar[bool] = False

    @classmethod
    def questions(cls, known: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG003 - a hook
        """Return the limit of a text."""
        return {"max_tokens": "the longest text that the model was made for, in tokens"}

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of both texts of a pair."""
        return TEXT_PAIR if self.pairs else ()

    def complete(self, required: Sequence[str], optional: Sequence[str]) -> TextOptions:
        """Return the options with the tensors that a model takes."""
        usual = {*DEFAULT, TYPES} if self.pairs and self.pair_types else {*DEFAULT}
        taken_names = {*required, *usual.intersection(optional)}
        names = tuple(name for name in TENSORS if name in taken_names)
        if not names and len(required) == 1:  # whatever its name is, one tensor can only be the ids
            names = DEFAULT[:1]
        return self if self.tensors else msgspec.structs.replace(self, tensors=names)


class TextInput(InputHooks):
    """Rows are strings; the archive's `tokenizer.json` (of the tokenizers library) makes token ids of them."""

    input_options = TextOptions
    dynamic_axes: Mapping[str, Mapping[int, str]] = {name: {1: AXIS} for name in DEFAULT}
    files = ("tokenizer.json",)
    raw_types = ("text/plain",)
    row_keys: tuple[str, ...] = ("text", "data")

    @property
    def options(self) -> TextOptions:
        """The kind's part of the signature."""
        return cast("TextOptions", self.signature.input)

    def prepare(self) -> None:
        """Load the tokenizer without padding and truncation, which depend on the batch and on `truncate`."""
        path, options = str(self.folder / "tokenizer.json"), self.options
        self.tokenizer = Tokenizer.from_file(path)
        self.padding = Padding.of(self.tokenizer, options.extra.get("pad_id"), options.padding_side)
        self.pads_left = self.padding.left
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.names = options.tensors or DEFAULT
        if type(self).dynamic_axes is TextInput.dynamic_axes:
            self.dynamic_axes = {name: {1: AXIS} for name in self.names}
        self.truncating = (
            None
            if options.truncate == "error"
            else truncating_tokenizer(path, options.max_tokens, options.truncate, pairs=options.pairs)
        )

    def check(self, instance: Any, where: str) -> TokenRow:
        """Return the tokens of an instance: at least one, at most `max_tokens`, special tokens included."""
        source = self._source(instance, where)
        return self._row(self._encode_alone(source, where), source, where)

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Tokenise all texts of a batch in one call."""
        if type(self).check is not TextInput.check:
            return super().check_all(instances, places)
        wheres = [f"instances[{place}]" for place in places]
        sources = [
            guard(partial(self._source, instance, where)) for instance, where in zip(instances, wheres, strict=True)
        ]
        rows: list[Any] = list(sources)
        for words in (False, True):
            known = {
                index: source
                for index, source in enumerate(sources)
                if not isinstance(source, RequestError) and isinstance(source, list) is words
            }
            encodings = self._encode_each(known, wheres, words=words) if known else []
            for (index, source), encoding in zip(known.items(), encodings, strict=True):
                is_refused = isinstance(encoding, RequestError)
                rows[index] = encoding if is_refused else guard(partial(self._row, encoding, source, wheres[index]))
        return rows

    def sample(self, draws: np.random.Generator) -> str | list[str] | None:
        """Return texts of random tokens that make a row; None if the tokenizer reads none of them back.

        Written out, tokens may become more than they were, or become nothing, so each further trial has fewer.
        """
        most = max(2, self.options.max_tokens // (4 if self.options.pairs else 2))
        for trial in range(SAMPLE_TRIALS):
            texts = [self._sample_text(draws, max(2, most >> trial)) for _ in range(2 if self.options.pairs else 1)]
            instance = texts if self.options.pairs else texts[0]
            with contextlib.suppress(RequestError):
                self.check(instance, "sample")
                return instance
        return None

    def lengths(self, rows: Sequence[TokenRow]) -> list[int]:
        """Return each row's tokens: rows are padded to the longest of their batch."""
        return [len(row) for row in rows]

    def batch_keys(self, rows: Sequence[TokenRow]) -> list[Hashable] | None:
        """Return each row's tokens where padding isn't allowed."""
        return [len(row) for row in rows] if self.options.batch == "equal" else None

    def origins(self, rows: Sequence[TokenRow]) -> Sequence[Any] | None:
        """Return the places of each row's tokens, where the task asks for them."""
        return [row.places() for row in rows] if self.reads_offsets else None

    def measures(self, rows: Sequence[TokenRow]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return each text's number of tokens, and the share that the vocabulary doesn't know, shape (rows,)."""
        unknown = self.tokenizer.token_to_id(UNKNOWN)
        if unknown is None:
            unknown = -1  # this vocabulary has no token for unknown words, so no token counts as one
        return {
            "tokens": np.array([len(row) for row in rows], np.float64),
            "unknown": np.array([row.count(unknown) / len(row) for row in rows]),
        }

    def tensor_masks(self, tensors: Mapping[str, npt.NDArray[Any]]) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Return which tokens `attention_mask` leaves, shape (rows, tokens), whichever side the client padded on."""
        mask = tensors.get("attention_mask")
        return {} if mask is None else {AXIS: mask == 1}

    def free_axes(self) -> dict[str, int]:
        """Return the most tokens of a text, which bound a client's tensors of tokens too."""
        return {AXIS: self.options.max_tokens}

    def check_values(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Raise InvalidRow for ids outside the vocabulary, positions beyond the longest row, and flags above 1."""
        bounds = {"input_ids": self.tokenizer.get_vocab_size(), "position_ids": self.options.max_tokens}
        for name in TENSORS:
            values, bound = tensors.get(name), bounds.get(name, 2)
            if values is not None and not ((values >= 0) & (values < bound)).all():
                reason = f"the input has values outside 0 to {bound - 1}"
                raise InvalidRow(reason, where=f"inputs.{name}", fix="use the model's own tokenizer")
        check_mask(tensors)

    def tensors(self, rows: Sequence[TokenRow]) -> dict[str, npt.NDArray[np.int64]]:
        """Return the tensors that the model takes, int64, shape (rows, longest row)."""
        tensors = pad_rows(rows, self.names, self.padding, self.buffers)
        if not self.options.pair_types and TYPES in tensors:
            tensors[TYPES].fill(0)
        return tensors

    def row_schema(self) -> Schema:
        """Return the schema of `{"text": ...}`, of a pair, or of a text or its words."""
        if self.options.pairs:
            both: Schema = {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}
            return {"anyOf": [object_schema(dict.fromkeys(TEXT_PAIR, TEXT), TEXT_PAIR), both]}
        words: Schema = {"type": "array", "items": TEXT, "minItems": 1}
        return object_schema({"text": {"anyOf": [TEXT, words]} if self.reads_offsets else TEXT}, ["text"])

    def _encode(self, sources: Sequence[Source], *, words: bool) -> list[Encoding]:
        # The fast call leaves out offsets, which most tasks don't read.
        encode = self.tokenizer.encode_batch if self.reads_offsets else self.tokenizer.encode_batch_fast
        with panics_as_errors():
            return encode(sources, is_pretokenized=words)

    def _encode_each(self, sources: Mapping[int, Source], wheres: Sequence[str], *, words: bool) -> Sequence[Any]:
        """Return an encoding or an error for each source; one that the tokenizer can't read fails alone."""
        try:
            return self._encode(list(sources.values()), words=words)
        except Exception:  # noqa: BLE001 - the library has no type of its own, and the culprit gets its error below
            return [guard(partial(self._encode_alone, source, wheres[index])) for index, source in sources.items()]

    def _encode_alone(self, source: Source, where: str) -> Encoding:
        try:
            [encoding] = self._encode([source], words=isinstance(source, list))
        except Exception as error:  # the library has no type of its own
            raise InvalidRow(
                "the tokenizer has no token for a part of the text",
                where=where,
                fix="leave out characters and words that the model's vocabulary lacks",
            ) from error
        return encoding

    def _row(self, encoding: Encoding, source: Source, where: str) -> TokenRow:
        limit = self.options.max_tokens
        if len(encoding) > limit and self.truncating is not None:
            encoding = self._truncate(self.truncating, source, where)
        if not len(encoding):
            raise InvalidRow("the text has no token", where=where, fix="send at least one word")
        if len(encoding) > limit:
            raise InvalidRow(
                f"the text has {len(encoding)} tokens, at most {limit} are accepted",
                where=where,
                fix="shorten or split the text",
            )
        return TokenRow(encoding, source)

    def _truncate(self, tokenizer: Tokenizer, source: Source, where: str) -> Encoding:
        first, second = source if isinstance(source, tuple) else (source, None)
        try:
            with panics_as_errors():
                return tokenizer.encode(first, second, is_pretokenized=isinstance(source, list))
        except Exception as error:  # the library has no type of its own
            limit = self.options.max_tokens
            raise InvalidRow(
                f"the first text alone has too many tokens, {limit} are accepted for both",
                where=f"{where}.text",
                fix="shorten the first text",
            ) from error

    def _source(self, instance: Any, where: str) -> Source:
        instance = unwrap(instance, self.row_keys)
        if self.options.pairs:
            return self._pair(instance, where)
        if self.reads_offsets and isinstance(instance, list) and instance:
            return [self._text(word, f"{where}[{index}]") for index, word in enumerate(instance)]
        return self._text(instance, where)

    def _pair(self, instance: Any, where: str) -> tuple[str, str]:
        if isinstance(instance, dict) and instance.keys() == {*TEXT_PAIR}:
            instance = [instance[name] for name in TEXT_PAIR]
        if not isinstance(instance, list) or len(instance) != 2:
            given = f"a list of {len(instance)}" if isinstance(instance, list) else json_type(instance)
            raise InvalidRow(
                f"expected two texts, got {given}",
                where=where,
                fix='send {"text": "...", "text_pair": "..."}',
            )
        first, second = (self._text(text, f"{where}.{name}") for text, name in zip(instance, TEXT_PAIR, strict=True))
        return first, second

    def _text(self, instance: Any, where: str) -> str:
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

    def _sample_text(self, draws: np.random.Generator, most: int) -> str:
        """Return a text of random tokens, fewer than `most`."""
        return self.tokenizer.decode(
            draws.integers(0, self.tokenizer.get_vocab_size(), int(draws.integers(1, most))).tolist()
        )
