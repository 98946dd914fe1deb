"""The port for clients: opened here and inherited by nginx, so that it can be left without a connection lost.

A connection that a client has begun waits in the kernel until nginx takes it. If nginx closes the port at that moment
the kernel resets it, and a request that the client has sent is lost. So the port first lets no new connection begin,
then nginx takes those that wait, and then the port is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import time

from onnxserve.errors import GatewayError

BACKLOG = 4096
VARIABLE = "NGINX"  # ngx_add_inherited_sockets: descriptors, each followed by a semicolon
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Classic BPF (https://docs.kernel.org/networking/filter.html): drop what has SYN but not ACK among its flags. What
# belongs to connections that have begun comes through.
FLAGS_AT, SYN, SYN_ACK = 13, 0x02, 0x12
PROGRAM = [
    (0x30, 0, 0, FLAGS_AT),  # load the byte
    (0x54, 0, 0, SYN_ACK),  # and
    (0x15, 0, 1, SYN),  # skip one unless equal
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take
]
WAITING = struct.Struct("24xI")  # tcp_info, tcpi_unacked: of a port, how many connections wait
HANDSHAKE_S, MOST_S, POLL_S = 0.1, 1.0, 0.01


class Listener:
    """A port of an address; nginx opens the others itself where a name has several. GatewayError where it is taken."""

    def __init__(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server(
                address, family=family, backlog=BACKLOG, dualstack_ipv6=address[0] == "::"
            )
        except OSError as error:
            fix = "stop the other server, or change [listen] in gateway.toml"
            raise GatewayError(f"can't listen: {error.strerror}", where=f"{host}:{port}", fix=fix) from error
        self._socket.setblocking(False)  # nginx expects so, and would wait in accept(2) for what another process took

    def fileno(self) -> int:
        """The descriptor for nginx."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Let no connection begin any more, and wait a moment until those that have begun are taken."""
        with contextlib.suppress(OSError, AttributeError):  # where the system knows no such filter, some may be reset
            self._drop_new()
            time.sleep(HANDSHAKE_S)
            deadline = time.monotonic() + MOST_S
            while self._waiting() and time.monotonic() < deadline:
                time.sleep(POLL_S)

    def close(self) -> None:
        """Leave the port to nginx, whose end closes it."""
        self._socket.close()

    def _drop_new(self) -> None:
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in PROGRAM))
        fprog = struct.pack("HP", len(PROGRAM), ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)

    def _waiting(self) -> int:
        found: int = WAITING.unpack(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, WAITING.size))[0]
        return found
