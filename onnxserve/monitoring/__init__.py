"""What gateway and workers count, as one page for Prometheus."""

from .exporter import Exporter, start_exporter, workers_page

__all__ = ["Exporter", "start_exporter", "workers_page"]
