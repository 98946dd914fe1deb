"""Calls of gRPC by grpcio, an extra: a message and its metadata out, a message or a status in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnxserve.errors import ServerError

from .exchange import Incoming, Outgoing
from .fault import read_line
from .settings import Settings
from .v2_call import METHOD

# HTTP's statuses by gRPC's code, as the gateway and handlers map them; https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
STATUS = {3: 422, 4: 504, 5: 404, 7: 403, 8: 429, 12: 501, 13: 500, 14: 503, 16: 401}
OF_TYPE = {"too_large": 413, "answer_too_large": 507, "out_of_memory": 507, "undecodable_body": 400}  # more exactly
UNAVAILABLE = 14
OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0))


def library() -> Any:
    """Return grpcio; ServerError says which extra has it."""
    try:
        import grpc
    except ModuleNotFoundError as error:
        raise ServerError("grpcio is missing", fix="pip install 'onnxserve[grpc]'") from error
    return grpc


def open_channel(settings: Settings, kind: Any) -> Any:
    """Return a channel to the settings' server; `kind` is the module `grpc` or `grpc.aio`."""
    grpc, address = library(), settings.address
    target = f"unix:{address.path}" if address.path else address.url.partition("://")[2]
    if not address.url.startswith("https:"):
        return kind.insecure_channel(target, options=OPTIONS)
    settings.trust()  # ServerError for a file that has no certificate
    authorities = Path(settings.ca).read_bytes() if settings.ca else None
    return kind.secure_channel(target, grpc.ssl_channel_credentials(authorities), options=OPTIONS)


def method_of(channel: Any) -> Callable[..., Any]:
    """Return the method that takes a message and returns one, both as bytes."""
    method: Callable[..., Any] = channel.unary_unary(METHOD)
    return method


def call_options(outgoing: Outgoing) -> dict[str, Any]:
    """Return deadline and metadata of a call; the gateway shortens its own deadline to this one."""
    return {"timeout": outgoing.timeout_s, "metadata": tuple(outgoing.headers.items())}


def refusal(error: Any) -> Incoming:
    """Return the answer that a call's error stands for; status 0 where no server was reached."""
    code, text = error.code().value[0], error.details() or ""
    kind = read_line(0, text).type
    status = OF_TYPE.get(kind) or STATUS.get(code, 0)
    # grpcio's own texts about a connection have another form than those of gateway and handlers.
    return Incoming(status if kind or code != UNAVAILABLE else 0, text.encode())
