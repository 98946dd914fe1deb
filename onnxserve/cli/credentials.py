"""What the gateway demands of clients, as words of a curl command, and where a client gets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from onnxserve.errors import GatewayError
from onnxserve.gateway import GatewayConfig
from onnxserve.gateway.config import Auth
from onnxserve.gateway.keys import read_keys


class Credential(NamedTuple):
    """The words of a curl command that bring it, and a line about the names in them."""

    words: str
    source: str


def credentials(config: GatewayConfig) -> Iterator[Credential]:
    """Yield what a client must bring: a certificate, and a key, or a token where only an issuer gives access."""
    if authority := config.tls.client_ca:
        source = f"client.pem and client.key: a certificate that {authority} signed, and its private key"
        yield Credential("--cert client.pem --key client.key", source)
    if config.auth.required and takes_tokens_alone(config.auth):
        source = f"ONNXSERVE_TOKEN: a token of {config.auth.jwt.issuer}"
        yield Credential('-H "Authorization: Bearer $ONNXSERVE_TOKEN"', source)
    elif config.auth.required:
        source = f"ONNXSERVE_KEY: a key of {config.auth.keys}; onnxserve keys add CLIENT makes one"
        yield Credential('-H "x-api-key: $ONNXSERVE_KEY"', source)


def takes_tokens_alone(auth: Auth) -> bool:
    """Return whether tokens are taken and nobody has a key."""
    if auth.jwt.issuer:
        with contextlib.suppress(GatewayError):  # a damaged file: nginx goes on with the keys that it had
            return not read_keys(Path(auth.keys))
    return False
