"""What workers count, for Prometheus: one page of all processes together."""

from .exporter import Exporter, start_exporter

__all__ = ["Exporter", "start_exporter"]
