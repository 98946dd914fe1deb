"""Monitoring: metrics of gateway and workers for Prometheus, spans, drift and live accuracy."""

from .exporter import start_exporter, workers_page

__all__ = ["start_exporter", "workers_page"]
