"""Ejections of versions by the gateway, counted from nginx's error log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from onnxserve.log_reader import LogReader

from .exposition import Counter

EVENT = re.compile(rb'js: \{"event":"ejected","model":"([^"]*)","version":"([^"]*)"')  # failures.js writes it


class Ejections:
    """Counts ejections since the log was opened."""

    def __init__(self, path: Path) -> None:
        self._reader = LogReader(path)
        self._count = Counter(
            "onnxserve_gateway_ejections_total", "Times that a version was ejected.", ("model", "version")
        )

    def read(self) -> None:
        """Count the ejections since the last call."""
        for lines in self._reader.read():
            for model, version in EVENT.findall(lines):
                self._count.add((model.decode(errors="replace"), version.decode(errors="replace")))

    def lines(self) -> Iterator[str]:
        """Yield the lines for Prometheus."""
        yield from self._count.lines()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
