"""Counters of the gateway, from its access log: docs/guides/monitoring.md lists the metrics."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from .access_log import Entry, http_status
from .exposition import Counter, Histogram
from .traffic import Traffic

OVERLOADED = "overloaded"
REFUSED = "429"
# nginx measures in milliseconds.
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
VERSION = ("model", "version")


class Kind(NamedTuple):
    """Requests with equal fields are counted together; there are few kinds, since times are whole milliseconds."""

    model: str
    version: str
    method: str
    status: int
    grpc: str
    error: str
    cache: str
    degraded: str
    seconds: float


kind_of = attrgetter(*Kind._fields)


class Counters:
    """The counters of one gateway; beyond a bound, metric labels are `other` instead of a name."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        self._traffic = traffic or Traffic()
        name = "onnxserve_gateway_{}".format
        self._requests = Counter(
            name("requests_total"),
            "Requests by the status of their answer. A gRPC call counts with the HTTP status of its code. "
            "Model and version are empty unless a version was asked for a prediction.",
            (*VERSION, "code"),
        )
        self._seconds = Histogram(
            name("request_seconds"),
            "Time to the answer of predictions, without those refused with 429 or as overloaded.",
            VERSION,
            SECONDS,
        )
        self._refusals = Counter(
            name("refusals_total"),
            "Requests that were answered with an error of the gateway, by its type.",
            ("model", "type"),
        )
        self._degraded = Counter(
            name("degraded_total"), "Degraded answers, by how they were degraded.", ("model", "how")
        )
        self._cache = Counter("onnxserve_cache_answers_total", "Predictions by cache state.", ("model", "cache"))
        self._alerts = Counter(
            "onnxserve_probing_alerts_total", "Requests of a client that sent nearly the same body often.", ("client",)
        )
        self._received = Counter(name("received_bytes_total"), "Bytes of requests, with headers.")
        self._sent = Counter(name("sent_bytes_total"), "Bytes of answers, with headers.")

    def add(self, entries: Sequence[Entry]) -> None:
        """Count the requests."""
        for kind, count in collections.Counter(map(kind_of, entries)).items():
            self._add(Kind(*kind), count)
        self._received.add(count=sum(entry.bytes_in for entry in entries))
        self._sent.add(count=sum(entry.bytes_out for entry in entries))
        for entry in entries:
            if entry.alert:
                self._alerts.add((entry.client,))

    def refusals(self, model: str) -> int:
        """Return the number of a model's requests refused because too many waited or were under way."""
        return int(self._refusals.value((model, OVERLOADED)))

    def lines(self) -> Iterator[str]:
        """Yield the lines for Prometheus."""
        counted = (self._requests, self._seconds, self._refusals, self._degraded, self._cache, self._alerts)
        for metric in (*counted, self._received, self._sent):
            yield from metric.lines()

    def _add(self, kind: Kind, count: int) -> None:
        # The log has a version only if the model exists; clients may send any model name.
        model = kind.model if kind.version else ""
        if kind.error:
            self._refusals.add((model, kind.error), count)
        code = http_status(kind.status, kind.grpc)
        predicted = (model, kind.version) if kind.method == "POST" else ("", "")
        self._requests.add((*predicted, code), count)
        if not all(predicted):
            return
        refused = code == REFUSED or kind.error == OVERLOADED
        self._traffic.add((model, kind.version), code, kind.seconds, count, refused=refused)
        if not refused:
            self._seconds.observe(predicted, kind.seconds, count)
        if kind.cache:
            self._cache.add((model, kind.cache), count)
        if kind.degraded:
            self._degraded.add((model, kind.degraded), count)
