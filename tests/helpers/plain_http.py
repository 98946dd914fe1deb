"""Plain HTTP to servers on loopback, without proxies of the environment.

Without a context, each client of httpx reads all certificate authorities, which takes 20 ms of CPU time. Tests send
many requests, often in a loop until a server is ready.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client(**options: Any) -> httpx.Client:
    """Return a client; `options` are those of httpx.Client."""
    return httpx.Client(verify=NO_AUTHORITIES, trust_env=False, **options)


def request(method: str, url: str, **options: Any) -> httpx.Response:
    """Send one request over a connection of its own; `options` are those of httpx.request."""
    return httpx.request(method, url, verify=NO_AUTHORITIES, trust_env=False, **options)


def get(url: str, **options: Any) -> httpx.Response:
    """Send a GET request."""
    return request("GET", url, **options)


def post(url: str, **options: Any) -> httpx.Response:
    """Send a POST request."""
    return request("POST", url, **options)
