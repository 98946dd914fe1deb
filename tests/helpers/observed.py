"""A gateway that is watched: its observer, and the page that nginx shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from onnxserve.gateway import Gateway
from onnxserve.gateway.gateway import METRICS_PAGE
from onnxserve.monitoring import start_exporter
from onnxserve.monitoring.observer import Observer
from tests.helpers import plain_http

WAIT_S = 60
Samples = dict[tuple[str, ...], float]


@dataclass
class ObservedGateway:
    """`metrics` is where nginx shows the page, for clients on this machine."""

    observer: Observer
    metrics: str

    def page(self) -> str:
        return plain_http.get(f"{self.metrics}/metrics").raise_for_status().text

    def samples(self, until: Callable[[Samples], bool]) -> Samples:
        """Name and labels' values of each sample, once they say what they should: lines come within some seconds."""
        deadline = time.monotonic() + WAIT_S
        while True:
            counts = samples(self.page())
            if until(counts) or time.monotonic() > deadline:
                return counts
            time.sleep(0.1)


def samples(text: str) -> Samples:
    """As Prometheus' own client reads a page."""
    families = text_string_to_metric_families(text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


@contextlib.contextmanager
def observing(gateway: Gateway) -> Iterator[ObservedGateway]:
    """Watch a gateway that runs until the block ends."""
    observer = Observer(gateway)
    observer.start()
    exporter = start_exporter(gateway.run / METRICS_PAGE, observer.page, traffic=observer.traffic)
    try:
        yield ObservedGateway(observer, f"http://127.0.0.1:{gateway.config.listen.metrics_port}")
    finally:
        exporter.stop()
        observer.stop()
