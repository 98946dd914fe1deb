"""Measurements of benchmarks, as if a server had been under load."""

from benchmarks.measure import Measured


def measurement(server: str, rate: float, clients: int = 64, round_: int = 0, p50: float = 1, **more) -> Measured:
    """Answers per second and p50 in ms of one run of the model `segment`."""
    return Measured("segment", server, clients, round_, rate, p50, 2, **more)
