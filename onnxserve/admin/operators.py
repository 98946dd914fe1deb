"""Operators: who may move roles from the console, by an API key with the scope `operate`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from onnxserve.gateway.keys import ID, OPERATE, Key, Keys, digest, now

FIX = "onnxserve keys add NAME --scope operate"


class Refusal(Exception):
    """A request that isn't served: the HTTP status, the error's type, the reason, and how to mend it."""

    def __init__(self, status: int, kind: str, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.status, self.kind, self.reason, self.fix = status, kind, reason, fix


@dataclass(frozen=True)
class Operator:
    """The owner of a valid key; `name` is how the release history calls it."""

    key: Key
    name: str

    def check_model(self, model: str) -> None:
        """Raise Refusal unless the key holds for the model."""
        if not self.key.may_use(model):
            raise Refusal(403, "forbidden", f"this key doesn't hold for the model {model}")


def operator_of(keys: Keys, secret: str, moment: dt.datetime | None = None) -> Operator:
    """Return the owner of a key; Refusal with 401 for no valid key, with 403 for one without the scope."""
    stored = digest(secret)
    key = keys.get(stored) if secret else None
    if key is None:
        raise Refusal(401, "unauthenticated", "send a key with the scope operate as x-api-key", FIX)
    if key.has_expired(moment or now()):
        raise Refusal(401, "key_expired", "this key has expired", f"onnxserve keys rotate {key.client}")
    if OPERATE not in key.scopes:
        raise Refusal(403, "forbidden", "this key lacks the scope operate", FIX)
    return Operator(key, f"{key.client} (key {stored[:ID]})")
