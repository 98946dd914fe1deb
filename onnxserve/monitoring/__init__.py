"""Monitoring: metrics of gateway and workers for Prometheus, spans, drift and live accuracy."""

from .exporter import Exporter, start_exporter, workers_page

__all__ = ["Exporter", "start_exporter", "workers_page"]
