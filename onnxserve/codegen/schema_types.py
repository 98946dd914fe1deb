"""Types of a language for JSON schemas, as far as handlers write them (https://json-schema.org/draft/2020-12)."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
MOST_PLACES = 8  # of a list of fixed length; longer ones are lists of any length


class SchemaTypes(ABC):
    """Writes a schema as a type; what a language calls it is the subclass's."""

    unknown: str
    simple: Mapping[str, str]  # by JSON's type

    def of(self, schema: Schema, name: str) -> str:
        """Return the type of a value; `name` is what a type of its own is named after."""
        kinds = schema.get("type")
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(kinds, list):
            alternatives = [{**schema, "type": kind} for kind in kinds]
        if alternatives:
            return self.union([self.of(entry, name) for entry in alternatives])
        return self.literal(schema["enum"], name) if "enum" in schema else self._of_kind(str(kinds), schema, name)

    def _of_kind(self, kind: str, schema: Schema, name: str) -> str:
        if kind == "array":
            return self._array(schema, name)
        if kind == "object":
            return self._object(schema, name)
        if kind == "string" and schema.get("contentEncoding") == "base64":
            return self.file(schema)
        return self.simple.get(kind, self.unknown)

    def _array(self, schema: Schema, name: str) -> str:
        items, count = schema.get("items"), schema.get("maxItems", MOST_PLACES + 1)
        if places := schema.get("prefixItems"):
            items, count = {"anyOf": places}, len(places)
            if count <= MOST_PLACES:
                return self.places([self.of(place, name) for place in places])
        element = self.unknown if items is None else self.of(items, name.removesuffix("s"))
        if schema.get("minItems") == count and count <= MOST_PLACES:
            return self.places([element] * count)
        return self.list_of(element)

    def _object(self, schema: Schema, name: str) -> str:
        properties: dict[str, Schema] = dict(schema.get("properties", {}))
        if not properties:
            values = schema.get("additionalProperties")
            return self.mapping(None, self.of(values, name) if isinstance(values, Mapping) else self.unknown)
        return self.record(properties, frozenset(schema.get("required", ())), name)

    def union(self, types: Sequence[str]) -> str:
        """Return the type of a value of any of these types."""
        distinct = list(dict.fromkeys(types))
        return self.unknown if self.unknown in distinct else " | ".join(distinct)

    @abstractmethod
    def literal(self, values: Sequence[Any], name: str) -> str:
        """Return the type of these values alone."""

    @abstractmethod
    def file(self, schema: Schema) -> str:
        """Return the type of a file's content in base64."""

    @abstractmethod
    def places(self, types: Sequence[str]) -> str:
        """Return the type of a list that has these elements."""

    @abstractmethod
    def list_of(self, element: str) -> str:
        """Return the type of a list of any length."""

    @abstractmethod
    def mapping(self, names: Sequence[str] | None, values: str) -> str:
        """Return the type of an object whose values have one type, with these names or any."""

    @abstractmethod
    def record(self, properties: Mapping[str, Schema], required: frozenset[str], name: str) -> str:
        """Return the type of an object with these fields."""


def camel_case(text: str) -> str:
    """Return a name for a type: `HueMean` for `hue-mean`; `X1` where it would begin with a digit."""
    joined = "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", text))
    return joined if joined[:1].isalpha() else f"X{joined}"
