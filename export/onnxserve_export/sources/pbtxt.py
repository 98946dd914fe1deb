"""Protocol buffers in text, as Triton's `config.pbtxt`: a mapping of lists, since any field may occur again.

Format: https://protobuf.dev/reference/protobuf/textformat-spec/, without extensions and any-messages.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from onnxserve.errors import DefinitionError

TOKEN = re.compile(
    r"""
    \s+ | \#[^\n]* |
    (?P<text> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' ) |
    (?P<word> [-\w.+]+ ) |
    (?P<mark> [{}\[\]<>:,;] )
    """,
    re.VERBOSE,
)
LIST, LIST_END, QUOTES, TRUTH = "[", "]", "\"'", {"true": True, "false": False}
CLOSING = {"{": "}", "<": ">"}
Message = dict[str, list[Any]]


class Reader:
    """Reads the tokens of one text in order."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._tokens = self._split(text)
        self._place = 0

    def message(self, end: str = "") -> Message:
        """Return the fields up to the closing mark, or up to the end of the text."""
        fields: Message = {}
        while (name := self._next(end)) != end:
            self._skip(":")
            fields.setdefault(name, []).extend(self._values())
            self._skip(",", ";")
        return fields

    def _values(self) -> list[Any]:
        token = self._next()
        if token != LIST:
            return [self._value(token)]
        values = []
        while (token := self._next()) != LIST_END:
            values.append(self._value(token))
            self._skip(",")
        return values

    def _value(self, token: str) -> Any:
        if token in CLOSING:
            return self.message(CLOSING[token])
        if token[0] in QUOTES:
            text = self._text(token)
            while self._place < len(self._tokens) and self._tokens[self._place][0] in QUOTES:
                text += self._text(self._next())  # neighbours are one text
            return text
        if token in TRUTH:
            return TRUTH[token]
        try:
            return float(token) if "." in token else int(token)
        except ValueError:
            return token  # the name of an enum's value

    def _text(self, token: str) -> str:
        try:
            return str(ast.literal_eval(token))
        except (SyntaxError, ValueError) as error:
            raise DefinitionError(f"{token} isn't a text of a protocol buffer", where=self._where) from error

    def _next(self, end: str | None = None) -> str:
        if self._place == len(self._tokens):
            if end == "":
                return ""
            raise DefinitionError("it ends in the middle of a field", where=self._where)
        self._place += 1
        return self._tokens[self._place - 1]

    def _skip(self, *marks: str) -> None:
        if self._place < len(self._tokens) and self._tokens[self._place] in marks:
            self._place += 1

    def _split(self, text: str) -> list[str]:
        tokens, place = list[str](), 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if not match:
                line = text.count("\n", 0, place) + 1
                raise DefinitionError(f"{text[place]!r} isn't text of a protocol buffer", where=f"{self._where}:{line}")
            tokens += [token] if (token := match["text"] or match["word"] or match["mark"]) else []
            place = match.end()
        return tokens


def read_message(text: str, where: str) -> Message:
    """Return the fields of a text; DefinitionError names what can't be read."""
    try:
        return Reader(text, where).message()
    except RecursionError as error:
        raise DefinitionError("messages lie too deep in each other", where=where) from error
