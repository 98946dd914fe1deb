"""Addresses of HTTP APIs, and a cheap HTTP client for load from the server's own machine.

`client` and `async_client` have the clients that users import from `onnxserve`; both do the steps of `calls`.
"""

from .address import Address, loopback, parse_address, unix
from .connection import Connection, http_post

__all__ = ["Address", "Connection", "http_post", "loopback", "parse_address", "unix"]
