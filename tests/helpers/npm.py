"""Packages of the npm registry, pinned by a lock file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def install_packages(folder: Path) -> None:
    """Install what the lock file in the folder names."""
    npm = shutil.which("npm")
    assert npm, "apt-get install npm"
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True)
