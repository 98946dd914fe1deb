"""What servers' certificates are checked with."""

from __future__ import annotations

import ssl

from onnxserve.errors import ServerError


def trust(ca: str) -> ssl.SSLContext:
    """Return the trust in a CA certificate (a file, PEM), or in the public ones; ServerError if it can't be read."""
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        fix = "name a file with the authority's certificate, PEM"
        raise ServerError(f"no certificate can be read: {error.strerror}", where=ca, fix=fix) from error
