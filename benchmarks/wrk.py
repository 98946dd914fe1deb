"""Closed-loop load by wrk (https://github.com/wg/wrk), which takes little CPU time from the server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
BROKEN, UNSEEN = "broken", "not published"
NONE: Mapping[str, str] = {}
PUBLISHED = 64  # answers between two updates that the script publishes


@dataclass(frozen=True)
class Run:
    """One run: all answers per second, latencies in ms, the count of each label, and failures by kind.

    `refused` counts answers without a label by HTTP status; `broken` counts connections that broke or timed out.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int
    seconds: float
    labels: Mapping[str, int]
    refused: Mapping[str, int]

    @property
    def failed(self) -> int:
        """Return the number of requests without a right answer."""
        return sum(self.refused.values())

    @property
    def answered(self) -> int:
        """Return the requests with status 200 and a label; wrk's request count excludes broken connections."""
        return self.requests - self.failed + self.refused.get(BROKEN, 0)


def binary() -> str:
    """Return the path of wrk."""
    path = shutil.which("wrk")
    if path is None:
        sys.exit("wrk is not installed\n  fix:   apt-get install wrk")
    return path


def drive(
    url: str, bodies: Path, pattern: str, connections: int, seconds: int, headers: Mapping[str, str] = NONE
) -> Run:
    """Keep `connections` requests in flight for `seconds`."""
    command = [binary(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(SCRIPT)]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")] + [url]
    completed = subprocess.run(
        [*command, "--", str(bodies), pattern], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    lines = [line[2:] for line in completed.stdout.splitlines() if line.startswith("@@")]
    requests, duration, broken, errors, p50, p99 = map(int, lines[0].split())
    seen: dict[str, int] = json.loads(lines[1] or "{}")
    labels = {label: count for label, count in seen.items() if not label.startswith("?")}
    refused = refusals(seen, broken, errors)
    return Run(requests * 1e6 / duration, p50 / 1000, p99 / 1000, requests, duration / 1e6, labels, refused)


def refusals(seen: Mapping[str, int], broken: int, errors: int) -> dict[str, int]:
    """Return failed requests by kind; `errors` is wrk's count of statuses above 399, `seen` lags a little behind."""
    refused = {label[1:]: count for label, count in seen.items() if label.startswith("?")}
    late = errors - sum(count for status, count in refused.items() if int(status) > 399)
    refused |= {name: count for name, count in ((UNSEEN, late), (BROKEN, broken)) if count > 0}
    return refused
