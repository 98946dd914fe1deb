"""Serves the one connection of a listening socket until it ends."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
from pathlib import Path

from .frames import Frames, FrontendGone
from .loader import load_handler
from .messages import Load
from .metrics import Metrics
from .responses import encode_loaded
from .service import Service

ACCEPT_S = 30.0
RANK = int(os.getenv("LOCAL_RANK", "0"))  # torchrun sets it for models split over devices; only rank 0 responds
log = logging.getLogger(__name__)


class LoadFailed(RuntimeError):
    """The handler didn't start; the frontend already has the error."""


def listen(kind: str, name: str | None, host: str | None, port: int | None) -> socket.socket:
    """Return a socket for the frontend to connect to: `unix` by path (`….9000`), `tcp` by host and port."""
    if kind == "tcp":
        if port is None:
            raise ValueError("--sock-type tcp needs --port")
        return socket.create_server((host or "127.0.0.1", port + RANK), backlog=1)
    if name is None:
        raise ValueError("--sock-type unix needs --sock-name")
    stem, _, number = name.rpartition(".")
    path = f"{stem}.{int(number) + RANK}"
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)
    return listener


def serve(listener: socket.socket, metrics: Metrics) -> None:
    """Serve the one connection until the frontend is gone; raises BadFrame, LoadFailed or TimeoutError."""
    listener.settimeout(ACCEPT_S)
    connection, _ = listener.accept()
    connection.setblocking(True)
    frames = Frames(connection)
    service: Service | None = None
    with connection, contextlib.suppress(FrontendGone, BrokenPipeError, ConnectionResetError):
        while True:
            message = frames.read()
            if isinstance(message, Load):
                service = load(message, metrics, connection)
            elif service is None:
                raise LoadFailed("a batch came before a model was loaded")
            else:
                response = service.predict(message)
                if RANK == 0:
                    connection.sendall(response)
    log.info("Frontend disconnected.")


def load(message: Load, metrics: Metrics, connection: socket.socket) -> Service:
    """Start the handler and send the frontend the result; raises LoadFailed if it doesn't start."""
    metrics.model_name = message.name
    try:
        metrics.declare()
        service = Service(*load_handler(message, metrics))
    except (Exception, SystemExit) as error:
        log.exception("Failed to load model %s, exception %s", message.name, error)  # noqa: TRY401 - users look for this line
        out_of_memory = isinstance(error, MemoryError) or "CUDA" in str(error)
        code, text = (507, "System out of memory") if out_of_memory else (500, "Unknown exception")
        connection.sendall(encode_loaded(code, text))
        raise LoadFailed(f"{code} - {text}") from error
    service.context.cl_socket = connection  # for handlers that stream
    gc.collect()
    gc.freeze()  # the model stays loaded, so the collector needn't scan it again
    connection.sendall(encode_loaded(200, f"loaded model {message.name}"))
    return service
