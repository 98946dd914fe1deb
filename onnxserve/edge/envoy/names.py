"""What a version is called inside the edge."""

from __future__ import annotations

DIGEST = 12


def pool(model: str, version: str) -> str:
    """The cluster of one version."""
    return f"{model}/{version}"


def copies(model: str, version: str) -> str:
    """The cluster of one version as a shadow."""
    return f"{model}/{version}~shadow"


def pair(model: str, version: str, fallback: str) -> str:
    """The cluster of one version that falls back to another."""
    return f"{model}/{version}+{fallback}" if fallback else pool(model, version)


def host(model: str, version: str, digest: str) -> str:
    """The Host header that tells nginx which archive is meant; `nginx/nginx.conf.j2` takes it apart."""
    return f"{digest[:DIGEST]}.v{version}.m.{model}"


def counted(cluster: str) -> str:
    """A cluster's name in metrics, where dots would part it."""
    return cluster.replace(".", "-")
