"""Start onnxserve as users do: `onnxserve serve` with the shipped configuration and a store with one archive."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from onnxserve.archive import reconfigure
from onnxserve.torchserve import free_ports

from . import ROOT
from .prepare import Bench, scratch
from .process import Running, start

SHIPPED = ROOT / "gateway.toml"
FILE_OPTION = "--gateway-file"
WITHOUT_GATEWAY = "--no-gateway"
ONNXSERVE = [sys.executable, "-m", "onnxserve"]
# Without a latency target no server rejects requests because others wait: all clients of a benchmark wait.
NO_TARGET = {"tuning": {"p99_ms": 0}}
KEPT_S = 3600  # no cached answer expires during a benchmark
Changes = dict[str, dict[str, str]]
Headers = dict[str, str]


def changed(text: str, changes: Changes) -> str:
    """Return a TOML file with changes `{table: {key: value as TOML}}`; everything else stays as shipped."""
    for table, values in changes.items():
        head = f"[{table}]"
        before, separator, after = text.partition(f"{head}\n")
        if not separator:
            before, after = f"{text.rstrip()}\n\n", ""
        body, bracket, rest = after.partition("\n[")
        for key in values:
            body = re.sub(rf"^{key} *=.*\n?", "", body, flags=re.MULTILINE)
        lines = "".join(f"{key} = {value}\n" for key, value in values.items())
        text = f"{before}{head}\n{lines}{body}{bracket}{rest}"
    return text


def no_headers(_gateway: Path) -> Headers:
    """Return no headers."""
    return {}


def key(gateway: Path) -> Headers:
    """Create an API key for the benchmark's client in the configured key file; return its header."""
    command = [*ONNXSERVE, "keys", "add", "bench", FILE_OPTION, str(gateway)]
    return {"x-api-key": subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()}


def serve(bench: Bench, port: int, name: str, changes: Changes, headers: Callable[[Path], Headers]) -> Running:
    """Start `onnxserve serve` for one archive with the gateway on `port`; `changes` apply to gateway.toml."""
    [metrics] = free_ports(1)
    listening = {"port": str(port), "metrics_port": str(metrics)}
    file = scratch(name) / SHIPPED.name
    file.write_text(changed(SHIPPED.read_text(encoding="utf-8"), {**changes, "listen": listening}), encoding="utf-8")
    sent = headers(file)
    running = _started(bench, file.parent, FILE_OPTION, str(file))
    running.headers = sent
    return running


def _started(bench: Bench, folder: Path, *flags: str) -> Running:
    (folder / "store").mkdir()
    reconfigure(bench.archive, folder / "store" / bench.archive.name, NO_TARGET)
    command = [*ONNXSERVE, "serve", "--config", str(ROOT / "config.properties"), *flags]
    command += ["--store", str(folder / "store"), "--state", str(folder / "state")]
    return start(command, folder, {}, folder / "log.txt")


def default(bench: Bench, port: int) -> Running:
    """Start the default path. No TorchServe port is given, so it listens on unix sockets."""
    return serve(bench, port, "default", {}, no_headers)


def with_keys(bench: Bench, port: int) -> Running:
    """Require a key with every request; the benchmark uses one key."""
    return serve(bench, port, "keys", {"auth": {"required": "true", "keys": '"keys.json"'}}, key)


def cache_hit(bench: Bench, port: int) -> Running:
    """Enable the cache; the benchmark repeats its rows, so most requests hit it."""
    return serve(bench, port, "cache", {"cache": {"seconds": f"{KEPT_S}.0"}}, no_headers)


def without_gateway(bench: Bench, port: int) -> Running:
    """Send requests directly to TorchServe."""
    return _started(bench, scratch("direct"), WITHOUT_GATEWAY, "--inference-port", str(port))
