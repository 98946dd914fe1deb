"""nginx's configuration and its scripts (https://nginx.org/en/docs/, https://nginx.org/en/docs/njs/)."""

from .files import configuration, gateway_files

__all__ = ["configuration", "gateway_files"]
