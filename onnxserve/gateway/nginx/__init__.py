"""nginx's configuration and its scripts (https://nginx.org/en/docs/, https://nginx.org/en/docs/njs/)."""

from .files import gateway_files

__all__ = ["gateway_files"]
