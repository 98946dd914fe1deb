"""Table rows that a feature store completes: requests bring keys of entities, and the values that no store has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..errors import InvalidRow, RequestError, guard
from ..inputs.table import TableInput
from ..inputs.table_cells import Cell, cell_schema
from ..protocols.body import unwrap
from ..signature import Features, Schema, object_schema
from .client import DEFAULT_URL, FeatureStore, Key, Values

URL = "ONNXSERVE_FEATURES"
INTEGER_BITS = {"int32": 32, "int64": 64}  # by the signature's names of key types
DEGRADED = ("x-onnxserve-degraded", "features")
KEY: Schema = {"oneOf": [{"type": "integer"}, {"type": "string"}]}


class FeaturesUnavailable(RequestError):
    """row -> tensors: the feature store doesn't answer, and the row needs it."""

    status = 503
    kind = "features_unavailable"
    phrase = "Service Unavailable"


class DegradedRow(list[Cell]):
    """A row with defaults or old values in place of the store's current ones."""


class JoinedTable(TableInput):
    """Rows like `{"customer_id": 17, "amount": 9.5}`; a value in the row takes precedence over the store's."""

    store: FeatureStore | None = None

    def prepare(self) -> None:
        """Find the store: by the environment, by the archive's configuration, or at Feast's usual port."""
        super().prepare()
        self.decoder = None
        self.spec = self.signature.features or Features()
        self.keys = frozenset(self.spec.entities)
        self.nullable = self.signature.input.nullable_columns
        self.row_keys = tuple(key for key in self.row_keys if key not in self.keys)
        url = os.environ.get(URL) or str(self.settings.get("features") or DEFAULT_URL)
        self.store = FeatureStore(self.spec, url)

    def columnar(self) -> bool:
        """Return whether rows are numbers: rows in columns are joined already, and are like any table's."""
        return self.is_plain

    def check(self, instance: Any, where: str) -> list[Cell]:
        """Return one row; it is looked up by itself if it needs the store."""
        [row] = self._complete([instance], [where])
        if isinstance(row, RequestError):
            raise row
        complete: list[Cell] = row
        return complete

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """Return all rows of a batch, with one look-up for those that need the store."""
        return self._complete(instances, [f"instances[{place}]" for place in places])

    def notes(self, rows: Sequence[Any]) -> tuple[tuple[str, str], ...]:
        """Return the header that marks a response about a degraded row."""
        return (DEGRADED,) if any(isinstance(row, DegradedRow) for row in rows) else ()

    def _complete(self, instances: Sequence[Any], wheres: Sequence[str]) -> list[Any]:
        instances = [unwrap(instance, self.row_keys) for instance in instances]
        keys = [guard(partial(self._key, instance, where)) for instance, where in zip(instances, wheres, strict=True)]
        needed = [key for key in keys if isinstance(key, tuple)]
        features = self.store.look_up(needed) if needed and self.store else {}
        return [
            guard(partial(self._row, instance, key, features, where))
            for instance, key, where in zip(instances, keys, wheres, strict=True)
        ]

    def _key(self, instance: Any, where: str) -> Key | None:
        """Return the key to look up; None for a row that needs nothing of the store."""
        if not isinstance(instance, dict) or all(name in instance for name in self.spec.columns):
            return None
        if missing := [name for name in self.spec.entities if name not in instance]:
            raise InvalidRow(f"missing keys {missing}", where=where, fix="send them, or every column")
        for name in self.spec.entities:
            if reason := self._key_fault(instance[name], self.spec.key_types.get(name)):
                raise InvalidRow(reason, where=f"{where}.{name}", fix="send a key as the feature store has it")
        return tuple(instance[name] for name in self.spec.entities)

    @staticmethod
    def _key_fault(part: Any, kind: str | None) -> str:
        """Return what is wrong with a key, empty if nothing is.

        A key that the store can't read would cost every row of the batch its features.
        """
        is_text, is_integer = isinstance(part, str), isinstance(part, int) and not isinstance(part, bool)
        if kind == "string" and not is_text:
            return "this key is a text"
        if kind in INTEGER_BITS and not is_integer:
            return "this key is a whole number"
        if not (is_text or is_integer):
            return "a key is a text or a whole number"
        if is_text:
            return "" if part else "a key can't be empty"
        bits = INTEGER_BITS.get(kind or "", 64)
        return "" if -(2 ** (bits - 1)) <= part < 2 ** (bits - 1) else f"a key has at most {bits} bits"

    def _row(self, instance: Any, key: Any, features: dict[Key, Values | None], where: str) -> list[Cell]:
        if isinstance(key, RequestError):
            raise key
        if isinstance(instance, dict):
            own = {name: value for name, value in instance.items() if name not in self.keys}
            if key is None:
                instance = own
            else:
                stored, degraded = self._store_values(key, features[key], own, where)
                row = super().check({**stored, **own}, where)
                return DegradedRow(row) if degraded else row
        return super().check(instance, where)

    def _store_values(
        self, key: Key, values: Values | None, own: dict[str, Any], where: str
    ) -> tuple[dict[str, Any], bool]:
        """Return the store's part of a row, and whether it has defaults or old values because the store is down."""
        needed = [name for name in self.spec.columns if name not in own]
        if values is None:
            if self.spec.unavailable == "refuse":
                raise FeaturesUnavailable("the feature store does not answer", where=where, fix="try again later")
            return {name: self.spec.defaults[name] for name in needed}, True
        missing = [name for name in needed if values[name] is None and name not in self.nullable]
        if missing and self.spec.missing == "refuse":
            entity = ", ".join(f"{name} {part}" for name, part in zip(self.spec.entities, key, strict=True))
            raise InvalidRow(f"nothing is known of {missing[:5]} for {entity}", where=where, fix="send the columns")
        defaults = self.spec.defaults if self.spec.missing == "default" else {}
        stored = {name: defaults.get(name) if values[name] is None else values[name] for name in needed}
        return stored, values.stale

    def row_schema(self) -> Schema:
        """Return a table's schema, or keys of entities in place of the columns that the feature store has."""
        schema, spec = super().row_schema(), self.spec
        own = [name for name in self.columns if name not in spec.columns]
        fields = {column.name: cell_schema(column) for column in self.typed_columns} | dict.fromkeys(spec.entities, KEY)
        return {"oneOf": [*schema["oneOf"], object_schema(fields, [*own, *spec.entities])]}
