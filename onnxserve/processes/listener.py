"""The port for clients, opened here and inherited by nginx, so that it can be closed without losing a connection.

A new connection waits in the kernel until nginx accepts it. If nginx closes the port at that moment, the kernel resets
the connection, and a request that the client already sent is lost. So the port first refuses new connections, then
nginx accepts the waiting ones, and only then the port is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import time

from onnxserve.errors import ServerError

BACKLOG = 4096
INHERITED = "NGINX"  # ngx_add_inherited_sockets: descriptors, each followed by a semicolon
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Classic BPF (https://docs.kernel.org/networking/filter.html): drop packets with SYN but without ACK. Packets of
# connections that have begun pass.
FLAGS_AT, SYN, SYN_ACK = 13, 0x02, 0x12
PROGRAM = [
    (0x30, 0, 0, FLAGS_AT),  # load the byte
    (0x54, 0, 0, SYN_ACK),  # and
    (0x15, 0, 1, SYN),  # skip one unless equal
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take
]
WAITING = struct.Struct("24xI")  # tcp_info, tcpi_unacked: for a listening socket, the number of waiting connections
HANDSHAKE_S, MOST_S, POLL_S = 0.1, 1.0, 0.01


class Listener:
    """A listening port of one address; if a name has several addresses, nginx opens the others.

    ServerError if the port is taken.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
            both = address[0] == "::"
            self._socket = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
        except OSError as error:
            fix = "stop the other server, or change [listen] in gateway.toml"
            raise ServerError(f"can't listen: {error.strerror}", where=f"{host}:{port}", fix=fix) from error
        # As nginx expects; else accept(2) would wait for a connection that another process took.
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor for nginx."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Refuse new connections, and wait a moment until the waiting ones are accepted."""
        with contextlib.suppress(OSError, AttributeError):  # without such filters some connections may be reset
            self._drop_new()
            time.sleep(HANDSHAKE_S)
            deadline = time.monotonic() + MOST_S
            while self._waiting_connections() and time.monotonic() < deadline:
                time.sleep(POLL_S)

    def close(self) -> None:
        """Close our descriptor; nginx closes the port when it ends."""
        self._socket.close()

    def _drop_new(self) -> None:
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in PROGRAM))
        fprog = struct.pack("HP", len(PROGRAM), ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)

    def _waiting_connections(self) -> int:
        waiting: int = WAITING.unpack(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, WAITING.size))[0]
        return waiting
