"""The port for clients: opened here and inherited by nginx, so that it can be left without a connection lost.

A connection that a client has begun waits in the kernel until nginx takes it. If nginx closes the port at that moment
the kernel resets it, and a request that the client has sent is lost. So the port first lets no new connection begin,
then nginx takes those that wait, and then the port is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import socket
import struct
import time

from onnxserve.errors import EdgeError

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
    """A port of IPv4. EdgeError where somebody else has it."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)  # nginx expects so, and would wait in accept(2) for what another process took
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            fix = "stop the other server, or change [listen] in traffic.toml"
            raise EdgeError(f"can't listen: {error.strerror}", where=f"{host}:{port}", fix=fix) from error

    def fileno(self) -> int:
        """The descriptor for nginx."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Let no connection begin any more, and wait a moment until those that have begun are taken."""
        with contextlib.suppress(OSError):  # where the kernel knows no such filter, some may be reset
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


def open_listener(host: str, port: int) -> Listener | None:
    """The port, or None where nginx must open it itself: on an address of another kind, or another system."""
    with contextlib.suppress(ValueError):
        if hasattr(socket, "TCP_INFO") and ipaddress.ip_address(host).version == 4:
            return Listener(host, port)
    return None
