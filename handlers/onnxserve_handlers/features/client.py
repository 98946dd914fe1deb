"""Features of entities from a Feast server: one lookup a batch, kept for a while, waited for no longer than allowed.

The server is Feast's own: https://docs.feast.dev/reference/feature-servers/python-feature-server.
"""

from __future__ import annotations

import http.client
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..errors import withheld
from ..signature import Features

log = logging.getLogger(__name__)
Key = tuple[Any, ...]
DEFAULT_URL = "http://127.0.0.1:6566"
MOST = 100_000  # entities kept
PATIENCE = 3  # failures in a row before nobody is asked for a while
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
PRESENT = "PRESENT"


CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class Unavailable(Exception):
    """No answer in time, or none that can be read."""


class Values(dict[str, float | None]):
    """Features of an entity by name; `stale` are older than they should be, since nothing newer came."""

    stale = False


class Results(msgspec.Struct):
    """One feature of all entities, in the order asked."""

    values: list[Any]
    statuses: list[str]


class Metadata(msgspec.Struct):
    """Names of the features, in the order of the results."""

    feature_names: list[str]


class Reply(msgspec.Struct):
    """What Feast answers."""

    metadata: Metadata
    results: list[Results]


class Breaker:
    """Lets nobody ask while asking is no use; one may try after a pause that doubles."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._failures, self._pause, self._until = now, 0, FIRST_PAUSE_S, 0.0

    def closed(self) -> bool:
        """Whether to ask."""
        return self._now() >= self._until

    def good(self) -> None:
        """An answer came."""
        self._failures, self._pause = 0, FIRST_PAUSE_S

    def bad(self) -> None:
        """None came."""
        self._failures += 1
        if self._failures >= PATIENCE:
            self._until = self._now() + self._pause
            self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)


class Store:
    """What a handler asks."""

    def __init__(self, spec: Features, url: str = DEFAULT_URL, now: Callable[[], float] = time.monotonic) -> None:
        self._spec, self._now = spec, now
        self._host = urlsplit(url)
        if self._host.scheme not in CONNECTIONS or not self._host.hostname:
            raise ValueError(f"the feature store's address is no URL of http or https: {url!r}")
        self._kept: OrderedDict[Key, tuple[float, Values]] = OrderedDict()
        self._breaker = Breaker(now)
        self._connection: http.client.HTTPConnection | None = None

    def find(self, keys: Iterable[Key]) -> dict[Key, Values | None]:
        """Features by key, None for an entity of which nothing can be known now; a feature it lacks is None."""
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Values | None] = {key: self._fresh(key) for key in wanted}
        asked = [key for key in wanted if found[key] is None]
        if not asked:
            return found
        try:
            answers = self._ask(asked)
        except Unavailable as error:
            log.warning("the feature store does not answer: %s", error)
            return found | {key: self._stale(key) for key in asked}
        for key, values in answers.items():
            self._keep(key, values)
        return found | answers | {key: self._stale(key) for key in asked if key not in answers}

    def _fresh(self, key: Key) -> Values | None:
        kept = self._kept.get(key)
        return kept[1] if kept and kept[0] > self._now() else None

    def _stale(self, key: Key) -> Values | None:
        """Old is better than unknown."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        old = Values(kept[1])
        old.stale = True
        return old

    def _keep(self, key: Key, values: Values) -> None:
        if self._spec.ttl_s:
            self._kept[key] = (self._now() + self._spec.ttl_s, values)
            self._kept.move_to_end(key)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def _ask(self, keys: Sequence[Key]) -> dict[Key, Values]:
        if not self._breaker.closed():
            raise Unavailable("it has failed again and again; asked later")
        entities = {name: [key[at] for key in keys] for at, name in enumerate(self._spec.entities)}
        body = msgspec.json.encode({"feature_service": self._spec.service, "entities": entities})
        try:
            found = self._read(msgspec.json.decode(self._post(body), type=Reply), keys)
        except (OSError, http.client.HTTPException, msgspec.DecodeError, ValueError) as error:
            self._breaker.bad()
            self._forget()
            raise Unavailable(str(error) or type(error).__name__) from error
        self._breaker.good()
        return found

    def _read(self, reply: Reply, keys: Sequence[Key]) -> dict[Key, Values]:
        """Of the keys that the reply has every column of: a short reply is no answer for the rest."""
        columns = dict(zip(reply.metadata.feature_names, reply.results, strict=True))
        if missing := [name for name in self._spec.columns if name not in columns]:
            raise ValueError(f"service {self._spec.service} has no {missing[:5]}")
        named = [(name, columns[name].values, columns[name].statuses) for name in self._spec.columns]
        whole = min((min(len(values), len(statuses)) for _, values, statuses in named), default=len(keys))
        return {
            key: Values((name, values[at] if statuses[at] == PRESENT else None) for name, values, statuses in named)
            for at, key in enumerate(keys[:whole])
        }

    def _post(self, body: bytes) -> bytes:
        """One request within the time allowed, however slowly bytes may come."""
        deadline = self._now() + self._spec.timeout_ms / 1000
        kept = self._connection is not None
        try:
            return self._once(body, deadline)
        except (http.client.RemoteDisconnected, ConnectionError):
            if not kept:
                raise
            self._forget()  # the server had closed an idle connection, which is no failure
            return self._once(body, deadline)

    def _once(self, body: bytes, deadline: float) -> bytes:
        one = self._connected(deadline)
        one.request("POST", "/get-online-features", body, {"Content-Type": "application/json"})
        self._limit(one, deadline)
        answer = one.getresponse()
        parts = []
        while part := answer.read1(65536):
            parts.append(part)
            self._limit(one, deadline)
        answer.read()  # nothing is left, which only this call takes note of
        if answer.status != http.client.OK:
            words = b"".join(parts)[:200].decode(errors="replace")  # which may quote keys of entities
            raise ValueError(f"it says {answer.status}: {withheld(words)}")
        return b"".join(parts)

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        if self._connection is None:
            left = max(0.001, deadline - self._now())
            self._connection = CONNECTIONS[self._host.scheme](self._host.hostname or "", self._host.port, timeout=left)
        else:
            self._limit(self._connection, deadline)
        return self._connection

    def _limit(self, one: http.client.HTTPConnection, deadline: float) -> None:
        left = deadline - self._now()
        if left <= 0:
            raise TimeoutError(f"no answer within {self._spec.timeout_ms:g} ms")
        if one.sock is not None:
            one.sock.settimeout(left)

    def close(self) -> None:
        """Leave the server."""
        self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
