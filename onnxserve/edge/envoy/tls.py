"""Encryption towards clients, from files that may be replaced while Envoy runs."""

from __future__ import annotations

from pathlib import Path

from onnxserve.edge.intent import Tls

from .typed import Resource, extension

KIND = "envoy.extensions.transport_sockets.tls.v3.Secret"
OWN, CLIENTS = "own", "clients"


def transport(tls: Tls, run: Path) -> Resource:
    """The listener's transport socket."""
    common: Resource = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [{"name": OWN, "sds_config": source(run, OWN)}],
    }
    if tls.client_ca:
        common["validation_context_sds_secret_config"] = {"name": CLIENTS, "sds_config": source(run, CLIENTS)}
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=common,
        require_client_certificate=bool(tls.client_ca),
    )


def source(run: Path, name: str) -> Resource:
    """A file that holds one secret: Envoy takes no more from one."""
    return {"path_config_source": {"path": str(run / file_of(name))}}


def file_of(name: str) -> str:
    """The file of a secret."""
    return f"secret-{name}.json"


def secrets(tls: Tls) -> list[Resource]:
    """Names of the user's files; their folders are watched."""
    found: list[Resource] = []
    if tls.certificate:
        own = {"certificate_chain": {"filename": tls.certificate}, "private_key": {"filename": tls.key}}
        found.append({"name": OWN, "tls_certificate": {**own, "watched_directory": folder(tls.certificate)}})
    if tls.client_ca:
        trusted = {"trusted_ca": {"filename": tls.client_ca}, "watched_directory": folder(tls.client_ca)}
        found.append({"name": CLIENTS, "validation_context": trusted})
    return found


def folder(file: str) -> Resource:
    """Where a file is replaced."""
    return {"path": str(Path(file).parent)}
