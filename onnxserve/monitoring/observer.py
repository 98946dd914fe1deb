"""The observer: once a second it reads a gateway's log and makes metrics and spans of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from onnxserve.gateway.config import Tls
from onnxserve.gateway.gateway import ACCESS_LOG, ERROR_LOG, Control, Gateway

from .access_log import AccessLog
from .certificates import expiry
from .counters import Counters
from .ejections import Ejections
from .exposition import Counter, gauge
from .key_use import KEY_USE, KeyUse
from .spans import Spans
from .traffic import Traffic

PERIOD_S = 1.0
log = logging.getLogger(__name__)


class Observer:
    """Observes one gateway, which may restart meanwhile. GatewayError if configured spans can't be sent."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._traffic = Traffic()
        self._counters = Counters(self._traffic)
        endpoint = gateway.config.traces.endpoint
        self._spans = Spans(endpoint) if endpoint else None
        self._log = AccessLog(gateway.run / ACCESS_LOG)
        self._ejections = Ejections(gateway.run / ERROR_LOG)
        self._key_use = KeyUse(gateway.run.parent / KEY_USE)
        self._failure = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def start(self) -> None:
        """Read the log each second from now on; requests before the observer was created don't count."""
        self._thread.start()

    def stop(self) -> None:
        """Read the log a last time and send the remaining spans."""
        self._ended.set()
        self._thread.join()
        self.look()
        self._key_use.save()
        self._log.close()
        self._ejections.close()
        if self._spans is not None:
            self._spans.stop()

    def look(self) -> None:
        """Read what came since the last look; a log that can't be read only leaves requests uncounted."""
        with self._lock:
            try:
                for entries in self._log.read():
                    self._counters.add(entries)
                    self._key_use.add(entries)
                    if self._spans is not None:
                        self._spans.add(entries)
                self._ejections.read()
                self._key_use.tick()
            except OSError as error:
                if str(error) != self._failure:  # reported once
                    log.warning("the gateway's requests can't be counted: %s", error)
                self._failure = str(error)

    def refusals(self, model: str) -> int:
        """Return how many of a model's requests were refused because too many waited or were under way."""
        return self._counters.refusals(model)

    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        up = Control(self._gateway.control).alive()
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines(up=up)).encode()

    def traffic(self, since: int) -> bytes:
        """Return the recent traffic of each version as JSON: `Traffic.document`."""
        with self._lock:
            return self._traffic.document(since)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self.look()

    def _lines(self, *, up: bool) -> Iterator[str]:
        yield from gauge("onnxserve_gateway_up", "Whether the gateway answers.", (), {(): int(up)})
        yield from self._counters.lines()
        yield from self._ejections.lines()
        if self._spans is not None:
            yield from self._spans.lines()
        uncounted = Counter(
            "onnxserve_gateway_uncounted_lines_total", "Lines of the access log that were not counted.", ("reason",)
        )
        uncounted.add(("behind",), self._log.skipped)
        uncounted.add(("damaged",), self._log.damaged)
        yield from uncounted.lines()
        if expiries := certificate_expiries(self._gateway.config.tls):
            name = "onnxserve_gateway_certificate_expiry_timestamp_seconds"
            yield from gauge(name, "When a certificate expires, in seconds since 1970.", ("certificate",), expiries)


def certificate_expiries(tls: Tls) -> dict[tuple[str, ...], float]:
    """Return when the certificates expire, by name; an unreadable one is left out."""
    expiries: dict[tuple[str, ...], float] = {}
    for name, file in (("server", tls.certificate), ("client_ca", tls.client_ca)):
        try:
            if file:
                expiries[name,] = expiry(Path(file))
        except (OSError, ValueError) as error:
            log.warning("%s: %s", file, error)
    return expiries
