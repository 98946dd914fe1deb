"""Watches a gateway off the way of its requests: once a second its log is counted, and made spans of."""

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

PERIOD_S = 1.0
log = logging.getLogger(__name__)


class Observer:
    """Watches one gateway, which may end and begin again meanwhile. GatewayError where wanted spans can't be made."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._counters = Counters()
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
        """Look each second from now on; requests from before the observer was made don't count."""
        self._thread.start()

    def stop(self) -> None:
        """Look a last time, and send what spans are left."""
        self._ended.set()
        self._thread.join()
        self.look()
        self._key_use.save()
        self._log.close()
        self._ejections.close()
        if self._spans is not None:
            self._spans.stop()

    def look(self) -> None:
        """Take into account what came since the last look. A log that can't be read costs counts, nothing else."""
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
                if str(error) != self._failure:  # told once
                    log.warning("the gateway's requests can't be counted: %s", error)
                self._failure = str(error)

    def refused(self, model: str) -> int:
        """Requests of a model that were refused so far since too many waited or were under way."""
        return self._counters.refused(model)

    def page(self) -> bytes:
        """Everything that was counted, in Prometheus' text format."""
        up = Control(self._gateway.control).alive()
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines(up=up)).encode()

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
    """By whose certificate it is; one that can't be read just now is left out."""
    known: dict[tuple[str, ...], float] = {}
    for name, file in (("server", tls.certificate), ("client_ca", tls.client_ca)):
        try:
            if file:
                known[name,] = expiry(Path(file))
        except (OSError, ValueError) as error:
            log.warning("%s: %s", file, error)
    return known
