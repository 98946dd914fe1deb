"""Addresses of HTTP APIs, and a client that costs little, for the machine that the server runs on too."""

from .address import Address, loopback, parse_address, unix
from .connection import Connection, http_post

__all__ = ["Address", "Connection", "http_post", "loopback", "parse_address", "unix"]
