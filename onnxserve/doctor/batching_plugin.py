"""The check of the batching plugin, which can be built where there is a JDK."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from onnxserve.errors import ServerError
from onnxserve.paths import resource
from onnxserve.torchserve import Settings
from onnxserve.torchserve.properties import read_properties

from .finding import Finding, Repair

NAME = "plugin"
SCRIPT = "torchserve/batching-plugin/compile_plugin.py"  # a wheel has the plugin alone


def plugin(settings: Settings) -> Finding:
    """Look for the frontend's plugin; it is optional, so its absence is reported without a fix."""
    named = read_properties(settings.config).get("plugins_path")
    folder = settings.config.resolve().parent / named if named else None
    if folder and list(folder.glob("*.jar")):
        return Finding(NAME, "batches wait only for requests that are expected")
    missing = "none: a lone request waits its model's maxBatchDelay"
    if folder is None:
        return Finding(NAME, f"{missing}; {settings.config} names no plugins_path")
    if not resource(SCRIPT).is_file() or shutil.which("javac") is None:
        return Finding(NAME, f"{missing} (make frontend, with a JDK, builds it)")
    build = Repair(
        f"build the plugin in {folder}; the next start of the server loads it", partial(compile_into, folder)
    )
    return Finding(NAME, f"{missing} (make frontend builds it)", repair=build)


def compile_into(folder: Path) -> None:
    """Compile the plugin; ServerError with the compiler's last line."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(resource(SCRIPT)), str(folder)]
    completed = subprocess.run(words, capture_output=True, text=True, check=False)
    if completed.returncode:
        last = (completed.stderr.strip().splitlines() or ["no message"])[-1]
        raise ServerError(
            f"the plugin can't be built: {last}", where=SCRIPT, fix="make frontend shows the whole message"
        )
