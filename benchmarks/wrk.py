"""Closed-loop load by wrk (https://github.com/wg/wrk), which costs the server's CPUs little."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
NONE: Mapping[str, str] = {}
PUBLISHED = 64  # answers between two counts that the script publishes


@dataclass(frozen=True)
class Run:
    """One run: requests per second, latencies in ms, failures, and how often each label came back."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    requests: int
    seconds: float
    labels: dict[str, int]


def binary() -> str:
    """Wrk's path."""
    found = shutil.which("wrk")
    if found is None:
        sys.exit("wrk is not installed\n  fix:   apt-get install wrk")
    return found


def drive(
    url: str, bodies: Path, pattern: str, connections: int, seconds: int, headers: Mapping[str, str] = NONE
) -> Run:
    """Keep `connections` requests on their way for `seconds`."""
    command = [binary(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(SCRIPT)]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")] + [url]
    done = subprocess.run(
        [*command, "--", str(bodies), pattern], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    lines = [line[2:] for line in done.stdout.splitlines() if line.startswith("@@")]
    requests, duration, errors, p50, p99 = map(int, lines[0].split())
    labels: dict[str, int] = json.loads(lines[1] or "{}")
    seconds_taken = duration / 1e6
    failed = errors + labels.pop("?", 0)
    return Run(requests / seconds_taken, p50 / 1000, p99 / 1000, failed, requests, seconds_taken, labels)
