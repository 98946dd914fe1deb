"""What a client of a gateway is told once: where, who asks, how long, and how much at a time."""

from __future__ import annotations

import secrets
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnxserve.errors import ServerError

from .address import Address, parse_address
from .certificates import trust
from .exchange import REQUEST_ID, Outgoing
from .retry import Retry

TRACE = "traceparent"
CONNECT_S = 5.0
SCHEMES = ("http://", "https://", "unix:")


def active_traceparent() -> str:
    """Return the context of OpenTelemetry's active span, empty without one.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header. Without it, the gateway begins a trace.
    """
    api = sys.modules.get("opentelemetry.trace")
    if api is None:  # who never imported it has no span
        return ""
    context = api.get_current_span().get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}" if context.is_valid else ""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a client; no log and no notebook shows those that hold a secret."""

    url: str = "http://127.0.0.1:8000"
    """URL of the gateway, or `unix:/path/to.sock`."""
    key: str = field(default="", repr=False)
    """API key for a gateway that demands one; empty for none."""
    token: str | Callable[[], str] = field(default="", repr=False)
    """Bearer token, or a function that returns the present one; empty for none."""
    ca: str = ""
    """File of the authorities (PEM) that the server's certificate is checked with; empty for the public ones."""
    timeout_s: float = 60.0
    """Time for a whole call, retries and pauses included; in a stream, for each of its requests [s]."""
    retry: Retry = field(default_factory=Retry)
    """How often a request is sent, and the pauses between; by default as `Retry()` says."""
    rows_per_request: int = 64
    """Most rows of a request [rows]."""
    concurrency: int = 4
    """Requests of a stream that are under way at once [requests]."""
    grpc: bool = False
    """Ask for predictions over gRPC, which needs the extra `grpc`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers of each request, by name; none by default."""
    traceparent: Callable[[], str] = active_traceparent
    """Function that returns the trace's context of a request; by default that of OpenTelemetry's active span."""

    def __post_init__(self) -> None:
        """Refuse numbers and a URL that can't work, and make the file's path one that stays valid in other folders."""
        if not self.url.startswith(SCHEMES):
            example = "http://127.0.0.1:8000, https://models.example.org or unix:/path/to.sock"
            raise ServerError(f"{self.url!r} is no server's URL", where="url", fix=f"write it as {example}")
        for name in ("timeout_s", "rows_per_request", "concurrency"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.ca:
            object.__setattr__(self, "ca", str(Path(self.ca).absolute()))

    @property
    def address(self) -> Address:
        """The address that the URL names."""
        return parse_address(self.url)

    def trust(self) -> ssl.SSLContext | bool:
        """Return what a server's certificate is checked with; False where the connection has no TLS."""
        if not self.url.startswith("https:"):
            return False
        return trust(self.ca)

    def address_request(self, outgoing: Outgoing) -> Outgoing:
        """Return a request with the headers that say who asks, and that name it and its trace."""
        token = self.token() if callable(self.token) else self.token
        own = {
            REQUEST_ID: secrets.token_hex(16),
            "x-api-key": self.key,
            "authorization": f"Bearer {token}" if token else "",
            TRACE: self.traceparent(),
        }
        chosen = {name.lower(): value for name, value in self.headers.items()}
        headers = {**{name: value for name, value in own.items() if value}, **chosen, **outgoing.headers}
        check_header_values(headers)
        return replace(outgoing, headers=headers)


def check_header_values(headers: Mapping[str, str]) -> None:
    """Raise ServerError for a value that HTTP can't carry; the libraries' own errors would show it, a secret or not.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-5.5.
    """
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable() or value != value.strip():
            what = f"the value of {name} has a space at an end, a line break, or a character beyond ASCII"
            raise ServerError(what, where="key, token or headers of the client", fix="strip what was read from a file")
