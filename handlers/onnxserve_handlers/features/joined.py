"""Table rows of which a feature store knows a part: requests bring keys of entities, and values that nobody stores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..errors import InvalidRow, RequestError
from ..inputs.table import TabularClassifier
from ..protocols.body import unwrapped
from ..runtime.batching import guarded
from ..signature import Features
from .client import DEFAULT_URL, Key, Store, Values

URL = "ONNXSERVE_FEATURES"
WHOLE = {"int32": 32, "int64": 64}  # bits, of types as the signature names them
DEGRADED = ("x-onnxserve-degraded", "features")


class FeaturesUnavailable(RequestError):
    """row -> tensors: the store that knows the rest of the row doesn't answer."""

    status = 503
    kind = "features_unavailable"
    phrase = "Service Unavailable"


class Defaulted(list[float]):
    """A row with defaults, or old values, in place of what the store would have said."""


class JoinedClassifier(TabularClassifier):
    """`{"customer_id": 17, "amount": 9.5}`: what the row says itself counts more than what the store says."""

    store: Store | None = None

    def prepare(self) -> None:
        """Where the store is: the environment, the archive's configuration, or Feast's usual port."""
        super().prepare()
        self.decoder = None
        self.spec = self.signature.features or Features()
        self.keys = frozenset(self.spec.entities)
        self.row_keys = tuple(key for key in self.row_keys if key not in self.keys)
        url = os.environ.get(URL) or str(self.settings.get("features") or DEFAULT_URL)
        self.store = Store(self.spec, url)

    def columnar(self) -> bool:
        """Rows that are joined already are like any table's."""
        return True

    def check(self, instance: Any, where: str) -> list[float]:
        """One row, with a lookup of its own if it needs one."""
        [row] = self._joined([instance], [where])
        if isinstance(row, RequestError):
            raise row
        found: list[float] = row
        return found

    def check_all(self, instances: Sequence[Any], places: Sequence[int]) -> list[Any]:
        """All rows of a batch, with one lookup for those that need it."""
        return self._joined(instances, [f"instances[{place}]" for place in places])

    def notes(self, rows: Sequence[Any]) -> tuple[tuple[str, str], ...]:
        """An answer that rests on defaults or old values says so."""
        return (DEGRADED,) if any(isinstance(row, Defaulted) for row in rows) else ()

    def _joined(self, instances: Sequence[Any], wheres: Sequence[str]) -> list[Any]:
        instances = [unwrapped(one, self.row_keys) for one in instances]
        keys = [guarded(partial(self._key, one, where)) for one, where in zip(instances, wheres, strict=True)]
        asked = [key for key in keys if isinstance(key, tuple)]
        known = self.store.find(asked) if asked and self.store else {}
        return [
            guarded(partial(self._row, one, key, known, where))
            for one, key, where in zip(instances, keys, wheres, strict=True)
        ]

    def _key(self, instance: Any, where: str) -> Key | None:
        """What to ask the store for; None for a row that needs nothing of it."""
        if not isinstance(instance, dict) or all(name in instance for name in self.spec.columns):
            return None
        if missing := [name for name in self.spec.entities if name not in instance]:
            raise InvalidRow(f"missing keys {missing}", where=where, fix="send them, or every column")
        for name in self.spec.entities:
            if reason := self._fault(instance[name], self.spec.key_types.get(name)):
                raise InvalidRow(reason, where=f"{where}.{name}")
        return tuple(instance[name] for name in self.spec.entities)

    @staticmethod
    def _fault(part: Any, kind: str | None) -> str:
        """What is wrong with a key: one that the store can't read would cost every row of the batch its features."""
        is_text, is_whole = isinstance(part, str), isinstance(part, int) and not isinstance(part, bool)
        if kind == "string" and not is_text:
            return "this key is a text"
        if kind in WHOLE and not is_whole:
            return "this key is a whole number"
        if not (is_text or is_whole):
            return "a key is a text or a whole number"
        if is_text:
            return "" if part else "a key can't be empty"
        bits = WHOLE.get(kind or "", 64)
        return "" if -(2 ** (bits - 1)) <= part < 2 ** (bits - 1) else f"a key has at most {bits} bits"

    def _row(self, instance: Any, key: Any, known: dict[Key, Values | None], where: str) -> list[float]:
        if isinstance(key, RequestError):
            raise key
        if isinstance(instance, dict):
            own = {name: value for name, value in instance.items() if name not in self.keys}
            if key is None:
                instance = own
            else:
                stored, defaulted = self._stored(key, known[key], own, where)
                row = super().check({**stored, **own}, where)
                return Defaulted(row) if defaulted else row
        return super().check(instance, where)

    def _stored(self, key: Key, values: Values | None, own: dict[str, Any], where: str) -> tuple[dict[str, Any], bool]:
        """The store's part of a row, and whether defaults or old values stand in for a store that doesn't answer."""
        wanted = [name for name in self.spec.columns if name not in own]
        if values is None:
            if self.spec.unavailable == "refuse":
                raise FeaturesUnavailable("the feature store does not answer", where=where, fix="try again later")
            return {name: self.spec.defaults[name] for name in wanted}, True
        missing = [name for name in wanted if values[name] is None]
        if missing and self.spec.missing == "refuse":
            who = ", ".join(f"{name} {part}" for name, part in zip(self.spec.entities, key, strict=True))
            raise InvalidRow(f"nothing is known of {missing[:5]} for {who}", where=where, fix="send the columns")
        stored = {name: self.spec.defaults[name] if values[name] is None else values[name] for name in wanted}
        return stored, values.stale
