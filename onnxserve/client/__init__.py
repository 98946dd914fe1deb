"""A client that costs little, for the machine that the server runs on too."""

from .connection import Connection, http_post

__all__ = ["Connection", "http_post"]
