"""Closed-loop load: each connection sends its next request when it has its answer."""

from __future__ import annotations

import selectors
import time

from onnxserve.client import Address, Connection


def closed_loop(address: Address, request: bytes, connections: int, seconds: float) -> list[int]:
    """Send for `seconds`, at least 1; return the answers received in each second. OSError when the server hangs up."""
    selector = selectors.DefaultSelector()
    counts = [0] * max(1, round(seconds))
    start = time.perf_counter()
    try:
        for _ in range(connections):
            connection = Connection(address)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(request, start)
        while (second := int(time.perf_counter() - start)) < len(counts):
            for key, _ in selector.select(1):
                if key.data.receive() is not None:
                    counts[second] += 1
                    key.data.send(request, start)
        return counts
    finally:
        for key in list(selector.get_map().values()):
            key.data.socket.close()
        selector.close()
