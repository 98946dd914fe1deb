"""A client of a Feast server: one look-up per batch within a time limit, and a cache of the features.

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

from ..errors import withhold
from ..signature import Features

log = logging.getLogger(__name__)
Key = tuple[Any, ...]
DEFAULT_URL = "http://127.0.0.1:6566"
MOST = 100_000  # entities in the cache
PATIENCE = 3  # failures in a row before the breaker opens
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
PRESENT = "PRESENT"
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class Unavailable(Exception):
    """The server gave no readable response in time."""


class Values(dict[str, Any]):
    """The features of one entity by name; `stale` ones are past their time, and no newer ones came."""

    stale = False


class Results(msgspec.Struct):
    """One feature of all entities, in the order of the request."""

    values: list[Any]
    statuses: list[str]


class Metadata(msgspec.Struct):
    """Names of the features, in the order of the results."""

    feature_names: list[str]


class Reply(msgspec.Struct):
    """The body of Feast's response."""

    metadata: Metadata
    results: list[Results]


class Breaker:
    """A circuit breaker: it opens after several failures in a row, for a pause that doubles each time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self._failures, self._pause, self._until = now, 0, FIRST_PAUSE_S, 0.0

    def closed(self) -> bool:
        """Return whether a request may be tried."""
        return self._now() >= self._until

    def record_success(self) -> None:
        """Note that the server answered."""
        self._failures, self._pause = 0, FIRST_PAUSE_S

    def record_failure(self) -> None:
        """Note that the server didn't answer."""
        self._failures += 1
        if self._failures >= PATIENCE:
            self._until = self._now() + self._pause
            self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)


class FeatureStore:
    """The features of one archive's entities."""

    def __init__(self, spec: Features, url: str = DEFAULT_URL, now: Callable[[], float] = time.monotonic) -> None:
        self._spec, self._now = spec, now
        self._host = urlsplit(url)
        if self._host.scheme not in CONNECTIONS or not self._host.hostname:
            raise ValueError(f"the feature store's address isn't a URL of http or https: {url!r}")
        self._cache: OrderedDict[Key, tuple[float, Values]] = OrderedDict()
        self._breaker = Breaker(now)
        self._connection: http.client.HTTPConnection | None = None

    def look_up(self, keys: Iterable[Key]) -> dict[Key, Values | None]:
        """Return features by key; None for an entity without any, and for a feature that the store lacks."""
        unique = list(dict.fromkeys(keys))
        features: dict[Key, Values | None] = {key: self._fresh(key) for key in unique}
        missing = [key for key in unique if features[key] is None]
        if not missing:
            return features
        try:
            received = self._request(missing)
        except Unavailable as error:
            log.warning("the feature store does not answer: %s", error)
            return features | {key: self._stale(key) for key in missing}
        for key, values in received.items():
            self._keep(key, values)
        return features | received | {key: self._stale(key) for key in missing if key not in received}

    def _fresh(self, key: Key) -> Values | None:
        entry = self._cache.get(key)
        return entry[1] if entry and entry[0] > self._now() else None

    def _stale(self, key: Key) -> Values | None:
        """Return an entity's old values, which are better than none."""
        entry = self._cache.get(key)
        if entry is None:
            return None
        values = Values(entry[1])
        values.stale = True
        return values

    def _keep(self, key: Key, values: Values) -> None:
        if self._spec.ttl_s:
            self._cache[key] = (self._now() + self._spec.ttl_s, values)
            self._cache.move_to_end(key)
            if len(self._cache) > MOST:
                self._cache.popitem(last=False)

    def _request(self, keys: Sequence[Key]) -> dict[Key, Values]:
        if not self._breaker.closed():
            raise Unavailable("it failed several times in a row; the next attempt comes after a pause")
        entities = {name: [key[index] for key in keys] for index, name in enumerate(self._spec.entities)}
        body = msgspec.json.encode({"feature_service": self._spec.service, "entities": entities})
        try:
            features = self._read(msgspec.json.decode(self._post(body), type=Reply), keys)
        except (OSError, http.client.HTTPException, msgspec.DecodeError, ValueError) as error:
            self._breaker.record_failure()
            self._disconnect()
            raise Unavailable(str(error) or type(error).__name__) from error
        self._breaker.record_success()
        return features

    def _read(self, reply: Reply, keys: Sequence[Key]) -> dict[Key, Values]:
        """Return the features of the keys that the reply has every column of; a short reply leaves out the rest."""
        columns = dict(zip(reply.metadata.feature_names, reply.results, strict=True))
        if missing := [name for name in self._spec.columns if name not in columns]:
            raise ValueError(f"service {self._spec.service} has no {missing[:5]}")
        named = [(name, columns[name].values, columns[name].statuses) for name in self._spec.columns]
        complete = min((min(len(values), len(statuses)) for _, values, statuses in named), default=len(keys))
        return {
            key: Values((name, values[row] if statuses[row] == PRESENT else None) for name, values, statuses in named)
            for row, key in enumerate(keys[:complete])
        }

    def _post(self, body: bytes) -> bytes:
        """Send one request and read its response within the time limit, however slowly its bytes come."""
        deadline = self._now() + self._spec.timeout_ms / 1000
        reused = self._connection is not None
        try:
            return self._post_once(body, deadline)
        except (http.client.RemoteDisconnected, ConnectionError):
            if not reused:
                raise
            self._disconnect()  # the server had closed the idle connection, which is no failure
            return self._post_once(body, deadline)

    def _post_once(self, body: bytes, deadline: float) -> bytes:
        connection = self._connect(deadline)
        connection.request("POST", "/get-online-features", body, {"Content-Type": "application/json"})
        self._set_timeout(connection, deadline)
        response = connection.getresponse()
        parts = []
        while part := response.read1(65536):
            parts.append(part)
            self._set_timeout(connection, deadline)
        response.read()  # nothing is left, but only this call frees the connection for the next request
        if response.status != http.client.OK:
            text = b"".join(parts)[:200].decode(errors="replace")  # it may quote keys of entities
            raise ValueError(f"it says {response.status}: {withhold(text)}")
        return b"".join(parts)

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        if self._connection is None:
            left = max(0.001, deadline - self._now())
            self._connection = CONNECTIONS[self._host.scheme](self._host.hostname or "", self._host.port, timeout=left)
        else:
            self._set_timeout(self._connection, deadline)
        return self._connection

    def _set_timeout(self, connection: http.client.HTTPConnection, deadline: float) -> None:
        left = deadline - self._now()
        if left <= 0:
            raise TimeoutError(f"no answer within {self._spec.timeout_ms:g} ms")
        if connection.sock is not None:
            connection.sock.settimeout(left)

    def close(self) -> None:
        """Close the connection to the server."""
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
