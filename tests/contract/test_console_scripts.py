"""The console's scripts read what the server writes: counters with any labels, and a history with damaged lines."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from onnxserve.monitoring.exposition import Counter
from onnxserve.release.history import Event

CONSOLE = Path(__file__).parents[2] / "onnxserve" / "console"
AWKWARD = 'a "b" \\ {c="d"} 5\ne'


def returned(module: str, function: str, text: str) -> Any:
    """Return what an exported function of a script makes of a text."""
    node = shutil.which("node")
    assert node, "apt-get install nodejs"
    script = f"""
      import {{ {function} }} from {json.dumps(str(CONSOLE / module))};
      process.stdout.write(JSON.stringify({function}({json.dumps(text)})));
    """
    words = [node, "--experimental-default-type=module", "--input-type=module", "-e", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_labels_are_read_as_they_were_written():
    counter = Counter("onnxserve_drift", "Distances.", ("model", "measure"))
    counter.add(("demo", AWKWARD), 3)
    [sample] = returned("figures.js", "parse", "\n".join(counter.lines()))
    assert sample == {"name": "onnxserve_drift", "labels": {"model": "demo", "measure": AWKWARD}, "value": 3}


def test_lines_of_the_history_that_are_no_events_are_left_out():
    event = Event("2027-01-31T00:00:00+00:00", "demo", "promote", "2.0", "ops", ("demo stable: 1.0 -> 2.0",))
    whole = msgspec.json.encode(event).decode()
    broken = msgspec.to_builtins(event) | {"changes": {"length": 1}}
    lines = [whole[20:], "null", "5", "[]", '"x"', '{"time": 5}', json.dumps(broken), whole[:30], whole, ""]
    [shown] = returned("releases.js", "parseReleases", "\n".join(lines))
    assert shown["changes"] == ["demo stable: 1.0 -> 2.0"]
    assert shown["by"] == "ops"
