"""Connections that end a read, a write and the search for a host in the time of their request.

httpx and httpcore give each read and each write its time anew, so that a server that sends a byte at a time would hold
a request for hours; and a host's name is looked up without a limit. Their network backends are made to be replaced.
Source: https://www.encode.io/httpcore/network-backends/.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any

import httpcore

from .phase_time import left_of
from .thread import in_thread


class BoundedStream(httpcore.NetworkStream):
    """A connection all of whose reads, and all of whose writes, share the time of their phase."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come; httpcore.ReadTimeout when no time is left."""
        try:
            left = left_of(timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all; httpcore.WriteTimeout when no time is left."""
        connection, rest = self._stream.get_extra_info("socket"), memoryview(buffer)
        try:
            while rest:
                connection.settimeout(left_of(timeout))
                rest = rest[connection.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the connection with TLS; a handshake as a whole has the time."""
        return BoundedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks about the connection."""
        return self._stream.get_extra_info(info)


class BoundedBackend(httpcore.SyncBackend):
    """Opens such connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers; httpcore.ConnectTimeout when no time is left."""
        failure: Exception | None = None
        try:
            for address in addresses_of(host, port, timeout):
                try:
                    stream = super().connect_tcp(address, port, left_of(timeout), local_address, socket_options)
                except httpcore.ConnectError as error:
                    failure = error
                else:
                    return BoundedStream(stream)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Connect to a socket with a path."""
        return BoundedStream(super().connect_unix_socket(path, timeout, socket_options))


def addresses_of(host: str, port: int, timeout: float | None) -> list[str]:
    """Return a host's addresses; TimeoutError if they aren't found in time, httpcore.ConnectError if there are none."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        ask(flags=socket.AI_NUMERICHOST)  # it asks nobody
    except socket.gaierror:
        pass
    else:
        return [host]
    try:
        answers = in_thread(ask, "look up").result(left_of(timeout))
    except TimeoutError as error:
        raise TimeoutError(f"the name {host} isn't found in time") from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in answers))
