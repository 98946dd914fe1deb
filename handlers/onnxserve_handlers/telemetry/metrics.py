"""Histograms of a worker, shared between processes by Prometheus's client, where ONNXSERVE_METRICS names a folder.

https://prometheus.github.io/client_python/multiprocess/. Their labels are model, version, stage and outcome, never
anything that a client chooses.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..request import START, header_number
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
    """Times, sizes and outcomes of one model's batches."""

    def __init__(self, client: Any, signature: Signature, provider: str, threads: int, proof: str) -> None:
        self._client, self._flusher = client, Flusher()
        self._version = (signature.model, signature.version)
        stage_seconds = client.Histogram(
            "onnxserve_stage_seconds",
            "Time of a batch in each stage.",
            (*NAMES, "stage"),
            buckets=SECONDS,
            registry=None,
        )
        self._stages = {stage: self._buffer(stage_seconds.labels(*self._version, stage), SECONDS) for stage in STAGES}
        self._requests = self._histogram("onnxserve_batch_requests", "Requests of a batch.", SIZES)
        self._rows = self._histogram("onnxserve_batch_rows", "Rows of a batch.", SIZES)
        self._padding = self._histogram("onnxserve_padding_share", "Padding's share of a batch.", SHARES)
        self._length = self._histogram("onnxserve_row_length", "Length of the longest row of a batch.", LENGTHS)
        self.has_padding = True  # until the first rows show that this model's rows don't pad each other
        self._counters: dict[str, BufferedCounter] = {}
        self._outcomes = client.Counter(
            "onnxserve_requests", "Requests by outcome.", (*NAMES, "outcome"), registry=None
        )
        info = client.Gauge(
            "onnxserve_worker_info",
            "How the workers run, as labels.",
            (*NAMES, "provider", "threads", "variant", "proof"),
            multiprocess_mode="livemax",
            registry=None,
        )
        info.labels(*self._version, provider, str(threads), signature.variant, proof).set(1)

    def _buffer(self, child: Any, bounds: Sequence[float]) -> BufferedHistogram:
        histogram = BufferedHistogram(child, bounds)
        self._flusher.parts.append(histogram)
        return histogram

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> BufferedHistogram:
        metric = self._client.Histogram(name, text, NAMES, buckets=buckets, registry=None)
        return self._buffer(metric.labels(*self._version), buckets)

    def add_batch(
        self, stage_seconds: Mapping[str, float], requests: int, rows: int, lengths: Sequence[int] | None
    ) -> None:
        """Record one batch: seconds by stage, how many requests and rows, and the rows' lengths before padding."""
        with self._flusher.lock:
            for stage, seconds in stage_seconds.items():
                self._stages[stage].observe(seconds)
            self._requests.observe(requests)
            self._rows.observe(rows)
            if lengths:
                longest = max(lengths)
                self._length.observe(longest)
                self._padding.observe(1 - sum(lengths) / (longest * len(lengths)))

    def add_outcomes(self, answered: int, error_kinds: Iterable[str]) -> None:
        """Count answered requests, and failed ones by kind; kinds of a user's handler are counted together."""
        with self._flusher.lock:
            if answered:
                self._counter(OK).inc(answered)
            for kind in error_kinds:
                self._counter(kind if kind in OUTCOMES else OTHER).inc()

    def flush(self) -> None:
        """Publish the counts at once instead of within half a second."""
        self._flusher.flush()

    def _counter(self, kind: str) -> BufferedCounter:
        if kind not in self._counters:
            self._counters[kind] = counter = BufferedCounter(self._outcomes.labels(*self._version, kind))
            self._flusher.parts.append(counter)
        return self._counters[kind]


def queue_seconds(headers: Mapping[str, Any], now: float) -> float | None:
    """Return the seconds since the gateway took the request; None for one that didn't come through it."""
    start = header_number(headers, START)
    return None if start is None else max(0.0, now - start)


def make_metrics(signature: Signature, provider: str, threads: int, proof: str = "") -> Metrics | None:
    """Return the metrics that the environment enables, None if it names no folder; `proof` is the archive's."""
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return None
    os.environ[SHARED] = folder  # the client reads it when it is imported
    try:
        import prometheus_client
    except ModuleNotFoundError:
        log.warning("%s is set, but prometheus-client is not installed: no histograms", VARIABLE)
        return None
    return Metrics(prometheus_client, signature, provider, threads, proof)


class Clock:
    """Seconds of one batch by stage."""

    __slots__ = ("_last", "stage_seconds")

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.stage_seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + now - self._last
        self._last = now


PERIOD_S = 0.5


class BufferedHistogram:
    """The values that came since the last flush for one child of a histogram; the client itself is slower."""

    __slots__ = ("_bounds", "_child", "_counts", "_total")

    def __init__(self, child: Any, bounds: Sequence[float]) -> None:
        self._child, self._bounds = child, tuple(bounds)
        self._counts, self._total = [0] * (len(self._bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Add one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def flush(self) -> None:
        """Move the values into the client's buckets, which have no public way to take several values at once."""
        if not any(self._counts):
            return
        for bucket, count in zip(self._child._buckets, self._counts, strict=True):  # noqa: SLF001 - see above
            if count:
                bucket.inc(count)
        self._child._sum.inc(self._total)  # noqa: SLF001
        self._counts, self._total = [0] * len(self._counts), 0.0


class BufferedCounter:
    """The count since the last flush for one child of a counter."""

    __slots__ = ("_child", "_count")

    def __init__(self, child: Any) -> None:
        self._child, self._count = child, 0

    def inc(self, count: int = 1) -> None:
        """Add `count`."""
        self._count += count

    def flush(self) -> None:
        """Move the count into the client's counter."""
        if self._count:
            self._child.inc(self._count)
            self._count = 0


class Flusher:
    """Flushes buffered metrics from a separate thread; hold `lock` to change them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parts: list[BufferedHistogram | BufferedCounter] = []
        threading.Thread(target=self._work, name="metrics", daemon=True).start()

    def _work(self) -> None:
        while True:
            time.sleep(PERIOD_S)
            self.flush()

    def flush(self) -> None:
        """Flush all parts."""
        with self.lock:
            for part in self.parts:
                part.flush()


WINDOWS = "drift-"  # begins the name of a worker's file; the process id follows


class Window(msgspec.Struct, frozen=True):
    """How live rows were distributed: a count for each bin of each measure of the profile, and for each of its labels.

    `unknown` counts other labels. `closed` is when the window ended, in seconds since 1970.
    """

    rows: int
    measures: dict[str, tuple[int, ...]]
    labels: dict[str, int]
    unknown: int = 0
    model: str = ""
    version: str = ""
    closed: float = 0.0


def make_window(rows: int, counts: Mapping[str, Any], labels: Iterable[str], label_counts: Any) -> Window:
    """Return a window from arrays of counts; the last of `label_counts` is that of unknown labels."""
    *known, unknown = label_counts.tolist()
    measures = {name: tuple(bins.tolist()) for name, bins in counts.items()}
    return Window(rows, measures, dict(zip(labels, known, strict=True)), unknown)


def window_file(model: str, version: str) -> Callable[[Window], None]:
    """Return a function that replaces this worker's file by a window; if the disk is full, the former one stays."""
    path = Path(os.environ[VARIABLE], f"{WINDOWS}{os.getpid()}.json")

    def write(window: Window) -> None:
        dated = msgspec.structs.replace(window, model=model, version=version, closed=time.time())
        with contextlib.suppress(OSError):
            partial = path.with_suffix(".partial")
            partial.write_bytes(msgspec.json.encode(dated))
            partial.replace(path)

    return write
