"""Reads `gateway.toml`; each error names the field, the reason and the fix."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from onnxserve.errors import GatewayError

from .config import GatewayConfig, Tls

FIX = "docs/reference/configuration.md explains every field"


def read_config(path: Path) -> GatewayConfig:
    """Return the file's content with absolute paths; GatewayError names field, reason and fix."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # with a mark of Windows, or without
    except OSError as error:
        raise GatewayError(
            "can't read the gateway's file", where=str(path), fix="name one with --gateway-file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GatewayError(f"not valid TOML: {error}", where=str(path)) from error
    try:
        config = msgspec.convert(document, GatewayConfig)
    except msgspec.ValidationError as error:
        raise GatewayError(str(error), where=str(path), fix=FIX) from error
    if faults := list(_faults(config)):
        raise GatewayError("; ".join(faults), where=str(path), fix=FIX)
    return _with_paths(config, path.resolve().parent)


def _faults(config: GatewayConfig) -> Iterator[str]:
    tls, jwt = config.tls, config.auth.jwt
    if bool(tls.certificate) != bool(tls.key):
        yield "tls needs both certificate and key"
    if tls.client_ca and not tls.certificate:
        yield "tls.client_ca needs a certificate of the server's own"
    if bool(jwt.issuer) != bool(jwt.jwks):
        yield "auth.jwt needs both issuer and jwks"
    if config.cache.per_client and not config.auth.required:
        yield "cache.per_client keeps answers apart by key or token: it needs [auth] required = true"
    if "*" in config.listen.cors and len(config.listen.cors) > 1:
        yield 'listen.cors is either ["*"] or a list of origins'


def _with_paths(config: GatewayConfig, folder: Path) -> GatewayConfig:
    """Make paths absolute; GatewayError for a missing file of TLS or JWT."""

    def absolute(name: str, *, must_exist: bool = True) -> str:
        if "\0" in name:
            raise GatewayError("a path has no zero byte", where=repr(name), fix="leave it out in gateway.toml")
        path = folder / name if name else None
        if must_exist and path and not path.is_file():
            raise GatewayError(
                "there is no such file", where=str(path), fix="name the file that is there, in `tls` or `auth.jwt`"
            )
        return str(path) if path else ""

    tls, auth = config.tls, config.auth
    replace = msgspec.structs.replace
    tls = Tls(absolute(tls.certificate), absolute(tls.key), absolute(tls.client_ca))
    jwt = replace(auth.jwt, jwks=absolute(auth.jwt.jwks))
    auth = replace(auth, keys=absolute(auth.keys, must_exist=False), jwt=jwt)
    predictions = replace(config.predictions, folder=absolute(config.predictions.folder, must_exist=False))
    return replace(config, tls=tls, auth=auth, predictions=predictions)
