"""nginx behind Envoy: the cache of answers, and what the Open Inference Protocol asks beside predictions."""

from .config import nginx_files

__all__ = ["nginx_files"]
