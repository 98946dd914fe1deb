"""Histograms of a worker, shared between processes as Prometheus's client does, where ONNXSERVE_METRICS is a folder.

https://prometheus.github.io/client_python/multiprocess/. Labels are model, version, stage and outcome: never anything
that a client chooses.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..request import START, seconds
from ..signature import Signature

log = logging.getLogger(__name__)
VARIABLE = "ONNXSERVE_METRICS"
SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512)
NAMES = ("model", "version")
STAGES = ("queue", "preprocess", "inference", "postprocess")
OK = "ok"
OTHER = "other"
OUTCOMES = frozenset(
    {
        OK,
        "undecodable_body",
        "too_large",
        "malformed_frame",
        "unimplemented",
        "unsupported_media_type",
        "invalid_row",
        "deadline_exceeded",
        "out_of_memory",
        "answer_too_large",
        "not_finite",
        "internal_error",
        "features_unavailable",
    }
)


class Metrics:
    """What one model's batches took."""

    def __init__(self, client: Any, signature: Signature, provider: str, threads: int) -> None:
        self._client, self._flusher = client, Flusher()
        self._mine = (signature.model, signature.version)
        stage = client.Histogram(
            "onnxserve_stage_seconds",
            "Time of a batch in each stage.",
            (*NAMES, "stage"),
            buckets=SECONDS,
            registry=None,
        )
        self._stages = {one: self._tally(stage.labels(*self._mine, one), SECONDS) for one in STAGES}
        self._requests = self._histogram("onnxserve_batch_requests", "Requests of a batch.", SIZES)
        self._rows = self._histogram("onnxserve_batch_rows", "Rows of a batch.", SIZES)
        self._padding = self._histogram("onnxserve_padding_share", "Padding's share of a batch.", SHARES)
        self._length = self._histogram("onnxserve_row_length", "Length of the longest row of a batch.", LENGTHS)
        self.padded = True  # until rows come that don't pad each other
        self._kinds: dict[str, Count] = {}
        self._outcomes = client.Counter(
            "onnxserve_requests", "Requests by outcome.", (*NAMES, "outcome"), registry=None
        )
        info = client.Gauge(
            "onnxserve_worker_info",
            "How the workers run, as labels.",
            (*NAMES, "provider", "threads", "variant"),
            multiprocess_mode="livemax",
            registry=None,
        )
        info.labels(*self._mine, provider, str(threads), signature.variant).set(1)

    def _tally(self, child: Any, bounds: Sequence[float]) -> Tally:
        made = Tally(child, bounds)
        self._flusher.parts.append(made)
        return made

    def _histogram(self, name: str, what: str, buckets: Sequence[float]) -> Tally:
        made = self._client.Histogram(name, what, NAMES, buckets=buckets, registry=None)
        return self._tally(made.labels(*self._mine), buckets)

    def batch(self, took: Mapping[str, float], requests: int, rows: int, lengths: Sequence[int] | None) -> None:
        """One batch: seconds by stage, requests, rows, and the lengths that rows were padded from."""
        with self._flusher.lock:
            for stage, seconds in took.items():
                self._stages[stage].observe(seconds)
            self._requests.observe(requests)
            self._rows.observe(rows)
            if lengths:
                longest = max(lengths)
                self._length.observe(longest)
                self._padding.observe(1 - sum(lengths) / (longest * len(lengths)))

    def outcomes(self, good: int, bad: Iterable[str]) -> None:
        """Requests that were answered, and the kinds of the others; those of a handler's own are counted together."""
        with self._flusher.lock:
            if good:
                self._outcome(OK).inc(good)
            for kind in bad:
                self._outcome(kind if kind in OUTCOMES else OTHER).inc()

    def flush(self) -> None:
        """Show what was counted at once, rather than within half a second."""
        self._flusher.flush()

    def _outcome(self, kind: str) -> Count:
        if kind not in self._kinds:
            self._kinds[kind] = made = Count(self._outcomes.labels(*self._mine, kind))
            self._flusher.parts.append(made)
        return self._kinds[kind]


def waited(headers: Mapping[str, Any], now: float) -> float | None:
    """Seconds since the gateway took the request; None for one that didn't come through it."""
    start = seconds(headers, START)
    return None if start is None else max(0.0, now - start)


def metrics(signature: Signature, provider: str, threads: int) -> Metrics | None:
    """What the environment asks for; None where no folder is named."""
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return None
    os.environ[SHARED] = folder  # read when the client is imported
    try:
        import prometheus_client
    except ModuleNotFoundError:
        log.warning("%s is set, but prometheus-client is not installed: no histograms", VARIABLE)
        return None
    return Metrics(prometheus_client, signature, provider, threads)


class Clock:
    """Seconds by stage of one batch."""

    __slots__ = ("_last", "took")

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.took: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """What passed since the last lap belongs to `stage`."""
        now = time.perf_counter()
        self.took[stage] = self.took.get(stage, 0.0) + now - self._last
        self._last = now


PERIOD_S = 0.5


class Tally:
    """Of one histogram's child: what came since the last flush."""

    __slots__ = ("_bounds", "_child", "_counts", "_total")

    def __init__(self, child: Any, bounds: Sequence[float]) -> None:
        self._child, self._bounds = child, tuple(bounds)
        self._counts, self._total = [0] * (len(self._bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """One value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def flush(self) -> None:
        """Into the client's buckets, which have no public way to take more than one value at a time."""
        if not any(self._counts):
            return
        for bucket, count in zip(self._child._buckets, self._counts, strict=True):  # noqa: SLF001 - see above
            if count:
                bucket.inc(count)
        self._child._sum.inc(self._total)  # noqa: SLF001
        self._counts, self._total = [0] * len(self._counts), 0.0


class Count:
    """The same for a counter's child."""

    __slots__ = ("_child", "_count")

    def __init__(self, child: Any) -> None:
        self._child, self._count = child, 0

    def inc(self, count: int = 1) -> None:
        """So many more."""
        self._count += count

    def flush(self) -> None:
        """Into the client's."""
        if self._count:
            self._child.inc(self._count)
            self._count = 0


class Flusher:
    """Flushes from a thread of its own; whoever counts holds `lock` meanwhile."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parts: list[Tally | Count] = []
        threading.Thread(target=self._work, name="metrics", daemon=True).start()

    def _work(self) -> None:
        while True:
            time.sleep(PERIOD_S)
            self.flush()

    def flush(self) -> None:
        """Everything that was counted."""
        with self.lock:
            for part in self.parts:
                part.flush()
