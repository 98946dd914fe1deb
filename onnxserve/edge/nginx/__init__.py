"""nginx behind Envoy: the cache of answers, and what the Open Inference Protocol asks beside predictions."""

from .config import door, nginx_files

__all__ = ["door", "nginx_files"]
