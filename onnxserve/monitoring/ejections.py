"""Versions that the gateway left alone for a while, counted from nginx's error log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from onnxserve.gateway.log_reader import LogReader

from .exposition import Counter

EVENT = re.compile(rb'js: \{"event":"ejected","model":"([^"]*)","version":"([^"]*)"')  # failures.js writes it


class Ejections:
    """Counts ejections since the log was opened."""

    def __init__(self, path: Path) -> None:
        self._reader = LogReader(path)
        self._count = Counter(
            "onnxserve_gateway_ejections_total", "Times that a version was left alone.", ("model", "version")
        )

    def read(self) -> None:
        """Count what came since the last call."""
        for lines in self._reader.read():
            for model, version in EVENT.findall(lines):
                self._count.add((model.decode(errors="replace"), version.decode(errors="replace")))

    def lines(self) -> Iterator[str]:
        """For a page of Prometheus'."""
        yield from self._count.lines()

    def close(self) -> None:
        """Let the file go."""
        self._reader.close()
