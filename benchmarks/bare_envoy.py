"""Envoy that does nothing but pass requests on: what any Envoy costs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from onnxserve.edge.processes import envoy

TYPES = "type.googleapis.com/envoy.extensions.filters"
READY_S = 20


def config(port: int, upstream: int) -> dict[str, Any]:
    """One listener, one route, one cluster; no log, no limits."""
    router = {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "server"}}]}]
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "http_filters": [router],
        "route_config": {"virtual_hosts": hosts},
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "bare",
                    "address": address(port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "server",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "server",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}],
                    },
                }
            ],
        }
    }


def address(port: int) -> dict[str, Any]:
    """Of this machine."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.contextmanager
def bare_envoy(port: int, upstream: int, folder: Path) -> Iterator[str]:
    """Its URL, until the block ends."""
    path = folder / "bare.json"
    path.write_text(json.dumps(config(port, upstream)))
    command = [envoy(), "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id", "-l", "off"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + READY_S
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/ping", timeout=2, trust_env=False).is_success:
                    break
            if time.monotonic() > deadline:
                raise TimeoutError("bare Envoy doesn't come up")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)
